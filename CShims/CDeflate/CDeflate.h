// CDeflate.h: libdeflate, which unpacks a whole zlib stream at once.
#include <libdeflate.h>
