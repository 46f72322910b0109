// recording.c: CRecording is a header; a target needs one source file.
#include "CRecording.h"
