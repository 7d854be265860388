/* Preloaded into a process, moves its wall clock by the nanoseconds that the file SHIFTED_CLOCK holds (int64).
   Every process that is given the same file agrees, and sees at once when the file changes.
   The monotonic clock stays, so waits and timeouts last as long as ever. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t shift_nanoseconds(void) {
    static const volatile int64_t none = 0;
    static const volatile int64_t *_Atomic shift;
    if (!shift) {
        const char *path = getenv("SHIFTED_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        shift = page == MAP_FAILED ? &none : page;
    }
    return *shift;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t nanoseconds = at->tv_nsec + shift_nanoseconds();
        at->tv_sec += nanoseconds / SECOND;
        at->tv_nsec = nanoseconds % SECOND;
        if (at->tv_nsec < 0) {
            at->tv_nsec += SECOND;
            at->tv_sec -= 1;
        }
    }
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
