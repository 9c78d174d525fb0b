/*
 * Places one fault in a process: at the n-th call that changes a file under a path, the process is killed before,
 * after or amid the call, or a span of calls fails. Loaded with LD_PRELOAD; armed by `fault_arm`, never by itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { COUNT, KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL, SHORT };
enum call { WRITE = 1, SYNC = 2, TRUNCATE = 4, UNLINK = 8, RENAME = 16 };

static char prefix[PATH_MAX];
static atomic_long calls, first, last;
static atomic_int kind, code, mask, listing = -1;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static size_t (*real_fwrite)(const void *, size_t, size_t, FILE *);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off64_t);
static int (*real_unlink)(const char *), (*real_rename)(const char *, const char *);
static int (*real_unlinkat)(int, const char *, int);

__attribute__((constructor)) static void find(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fwrite = dlsym(RTLD_NEXT, "fwrite");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    real_rename = dlsym(RTLD_NEXT, "rename");
}

/*
 * From the next call on: which calls count, from which to which one the fault holds, and what it is. To the descriptor
 * `list` goes a line for each call that counts; with a fault, for those that it holds for.
 */
void fault_arm(const char *path, int calls_mask, long from, long to, int what, int error, int list) {
    kind = COUNT;
    snprintf(prefix, sizeof prefix, "%s", path);
    mask = calls_mask; first = from; last = to; code = error; listing = list; calls = 0;
    kind = what;
}

/* How many calls there were since it was armed. */
long fault_calls(void) { return calls; }

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

static const char *path_of(int fd, char *found) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, found, PATH_MAX - 1);
    found[size < 0 ? 0 : size] = 0;
    return found;
}

/* The path of a name in an open directory. */
static const char *path_in(int directory, const char *name, char *found) {
    if (name[0] == '/' || directory == AT_FDCWD) return name;
    path_of(directory, found);
    size_t size = strlen(found);
    snprintf(found + size, PATH_MAX - size, "/%s", name);
    return found;
}

/* Whether the fault is in this call; kills at once where that is asked for. */
static int is_here(enum call which, const char *name, const char *path) {
    if (!prefix[0] || !(mask & which) || strncmp(path, prefix, strlen(prefix))) return 0;
    long number = ++calls;
    if (listing >= 0 && (kind == COUNT || (number >= first && number <= last))) {
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "call %ld %s %s\n", number, name, path + strlen(prefix));
        real_write(listing, line, size);
    }
    if (kind == COUNT || number < first || number > last) return 0;
    if (kind == KILL_BEFORE) die();
    return 1;
}

static int is_failing(void) { return kind == FAIL || kind == SHORT; }

#define AROUND(which, path, call)                                   \
    if (!is_here(which, #which, path)) return call;                 \
    if (is_failing()) { errno = code; return -1; }                  \
    if (kind == KILL_AFTER) (void)!(call);                          \
    die(); return -1

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    if (!is_here(WRITE, "WRITE", path_of(fd, path))) return real_pwrite(fd, data, size, at);
    if (kind == FAIL) { errno = code; return -1; }
    if (kind == SHORT) return size > 1 ? real_pwrite(fd, data, size / 2, at) : (errno = code, -1);
    (void)!real_pwrite(fd, data, kind == KILL_TORN ? size / 2 : size, at);
    die(); return -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    if (!is_here(WRITE, "WRITE", path_of(fd, path))) return real_write(fd, data, size);
    if (kind == FAIL) { errno = code; return -1; }
    if (kind == SHORT) return size > 1 ? real_write(fd, data, size / 2) : (errno = code, -1);
    (void)!real_write(fd, data, kind == KILL_TORN ? size / 2 : size);
    die(); return -1;
}

/* Torn: all but the last piece, or half of the only one. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    char path[PATH_MAX];
    if (!is_here(WRITE, "WRITE", path_of(fd, path))) return real_writev(fd, pieces, count);
    if (kind == FAIL) { errno = code; return -1; }
    struct iovec half = {pieces[0].iov_base, pieces[0].iov_len / 2};
    const struct iovec *some = count > 1 ? pieces : &half;
    int few = count > 1 ? count - 1 : 1;
    if (kind == SHORT) return real_writev(fd, some, few);
    (void)!(kind == KILL_TORN ? real_writev(fd, some, few) : real_writev(fd, pieces, count));
    die(); return -1;
}

/* What C's streams write: where the process is killed, what they hold of it is in the file before. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *to) {
    char path[PATH_MAX];
    if (!prefix[0] || !is_here(WRITE, "WRITE", path_of(fileno(to), path))) return real_fwrite(data, size, count, to);
    if (kind == FAIL) { errno = code; return 0; }
    if (kind == SHORT) return real_fwrite(data, 1, size * count / 2, to) / (size ? size : 1);
    (void)!real_fwrite(data, 1, kind == KILL_TORN ? size * count / 2 : size * count, to);
    fflush(to);
    die(); return 0;
}

int fsync(int fd) { char p[PATH_MAX]; AROUND(SYNC, path_of(fd, p), real_fsync(fd)); }
int fdatasync(int fd) { char p[PATH_MAX]; AROUND(SYNC, path_of(fd, p), real_fdatasync(fd)); }
int ftruncate64(int fd, off64_t size) { char p[PATH_MAX]; AROUND(TRUNCATE, path_of(fd, p), real_ftruncate(fd, size)); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int unlink(const char *path) { AROUND(UNLINK, path, real_unlink(path)); }
int unlinkat(int in, const char *name, int flags) {
    char p[PATH_MAX];
    AROUND(UNLINK, path_in(in, name, p), real_unlinkat(in, name, flags));
}
int rename(const char *from, const char *to) { AROUND(RENAME, from, real_rename(from, to)); }
