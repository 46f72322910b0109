// CZlib.h: the part of zlib that is used: writing gzip streams, reading zlib streams.
#ifndef CZLIB_H
#define CZLIB_H

#include <zlib.h>

// deflateInit2 is a macro with arguments that Swift does not see. 16 more than the largest window asks for a gzip header.
static inline int tm_begin_gzip(z_stream *stream) {
    return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY);
}

// The same for inflateInit.
static inline int tm_begin_inflate(z_stream *stream) { return inflateInit(stream); }

#endif
