// CLinux.h: Linux calls of the command that Swift's Glibc module does not have: variadic, or declared for GNU sources only.
#ifndef CLINUX_H
#define CLINUX_H

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

// Descendants that lose their parent become ours.
static inline int tm_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
// 1: started programs get no more rights than we have.
static inline int tm_has_no_new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }
// Size of an extended attribute, -1 when the file has none of that name.
static inline ssize_t tm_attribute_size(const char *path, const char *name) { return getxattr(path, name, NULL, 0); }
// On Linux a priority belongs to a thread: this is the calling one's alone.
static inline int tm_lower_thread_priority(void) { return setpriority(PRIO_PROCESS, 0, 19); }
static inline int tm_close_from(unsigned first) {
#ifdef SYS_close_range
    return (int)syscall(SYS_close_range, first, ~0u, 0u);
#else
    return -1;
#endif
}
// A pipe that no program we start inherits: pipe2, which headers hide from strict C, as they hide mkostemp.
int pipe2(int ends[2], int flags);
static inline int tm_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
int mkostemp(char *template, int flags);
// A new file, to append to.
static inline int tm_temporary_file(char *path) { return mkostemp(path, O_CLOEXEC | O_APPEND); }
// memmem, which headers hide from strict C.
void *memmem(const void *haystack, size_t haystack_size, const void *needle, size_t needle_size);

#endif
