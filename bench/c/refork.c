/* refork COUNT: so many processes that ignore SIGTERM, each of which forks, ends, begins a session
 * and sleeps for a millisecond, again and again, for a minute at most. Says "up" for each, on stdout. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 50;
    double end = now() + 60;
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (int at = 0; at < count; at++) {
        if (fork() != 0)
            continue;
        if (write(1, "up\n", 3) != 3)
            _exit(1);
        while (now() < end) {
            if (fork() > 0)
                _exit(0);
            setsid();
            usleep(1000);
        }
        _exit(0);
    }
    while (now() < end)
        sleep(1);
    return 0;
}
