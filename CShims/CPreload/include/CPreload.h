// CPreload.h: nothing to call; a C target needs a header.
