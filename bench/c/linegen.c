/* Write numbered, stamped lines of 80 bytes: flat out or at a rate, in writes of a chosen size.
 *
 *     linegen LINES [-r LINES_PER_SECOND] [-w WRITE_BYTES] [-2] [-c CORE]
 *
 * A line is 20 digits of CLOCK_MONOTONIC in nanoseconds, a blank, 12 digits of its number counted
 * from 0, a blank, filler and a line feed. Without -w each line is one write. With it, writes have
 * exactly that size, lines cut in the middle as stdio cuts them, and the stamp is that of the
 * write. -2 sends every second write to stderr. -c runs on one core only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 80, STAMP = 20, NUMBER_AT = 21, NUMBER = 12, MOST = 4 << 20 };

static char buffers[2][MOST + LINE]; /* each channel has its own lines, as two FILEs have */

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void digits(char *at, int count, long long value)
{
    while (count--) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void put_line(char *at, const char *stamp, long long number)
{
    memcpy(at, stamp, STAMP);
    at[STAMP] = ' ';
    digits(at + NUMBER_AT, NUMBER, number);
    memset(at + NUMBER_AT + NUMBER, '.', LINE - NUMBER_AT - NUMBER);
    at[NUMBER_AT + NUMBER] = ' ';
    at[LINE - 1] = '\n';
}

static void write_all(int fd, const char *data, size_t count)
{
    while (count) {
        ssize_t taken = write(fd, data, count);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0) {
            perror("linegen");
            exit(1);
        }
        data += taken;
        count -= (size_t)taken;
    }
}

int main(int argc, char **argv)
{
    long long rate = 0;
    size_t block = 0;
    int both = 0, option;
    while ((option = getopt(argc, argv, "r:w:2c:")) != -1) {
        if (option == 'r') {
            rate = atoll(optarg);
        } else if (option == 'w') {
            block = (size_t)atoll(optarg);
        } else if (option == '2') {
            both = 1;
        } else if (option == 'c') {
            cpu_set_t cores;
            CPU_ZERO(&cores);
            CPU_SET(atoi(optarg), &cores);
            sched_setaffinity(0, sizeof cores, &cores);
        } else {
            return 2;
        }
    }
    if (optind >= argc || block > MOST) {
        fprintf(stderr, "expected linegen LINES [-r RATE] [-w BYTES, at most %d] [-2] [-c CORE]\n", MOST);
        return 2;
    }
    long long lines = atoll(argv[optind]), number = 0;
    size_t size = block ? block : LINE, kept[2] = {0, 0};
    long long due = now_ns(), step = rate ? 1000000000LL * (long long)(block ? block / LINE : 1) / rate : 0;
    char stamp[STAMP];
    for (int channel = 0; number < lines || kept[0] || kept[1]; channel = both && !channel) {
        char *buffer = buffers[channel];
        size_t filled = kept[channel];
        if (step) {
            struct timespec at = {due / 1000000000LL, due % 1000000000LL};
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
                ;
            due += step;
        }
        digits(stamp, STAMP, now_ns());
        for (; filled < size && number < lines; filled += LINE)
            put_line(buffer + filled, stamp, number++);
        size_t count = filled < size ? filled : size;
        write_all(channel ? 2 : 1, buffer, count);
        kept[channel] = filled - count;
        memmove(buffer, buffer + count, kept[channel]);
    }
    return 0;
}
