/* Many viewers of one stream of stamped lines, as thin as can be: one epoll loop, no parsing but the stamps.
 *
 *     viewers PORT PATH VIEWERS LINES SECONDS [-c CORE] [-g GREETING] [-w]
 *
 * Each viewer sends a GET for server-sent events of PATH to 127.0.0.1. When all have got GREETING (`event: run`),
 * which no line has, `ready` is printed. With -w it is a WebSocket, and a line begins wherever its stamp does. A line is what linegen writes: 20 digits of CLOCK_MONOTONIC, a blank,
 * 12 digits of its number, a blank. It ends when every viewer has LINES lines or has lost its
 * connection, or after SECONDS, and prints one JSON object: what was got, lost, doubled or out of
 * order, latencies in milliseconds, and its own share of a core while lines came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STAMP = 20, NUMBER = 12, HEAD = STAMP + 1 + NUMBER + 1, BUFFER = 256 * 1024, BUCKETS = 2000000 };

struct viewer {
    int fd, greeted, gone;
    size_t kept; /* bytes of an unfinished line */
    char rest[HEAD + 8];
    long long next, got, doubled, skipped;
};

static char buffer[BUFFER + HEAD + 8];
static unsigned buckets[BUCKETS]; /* of 10 microseconds */
static long long worst_ns;
static const char *mark = "data: "; /* before a line */
static size_t marked = 6, passed = 6; /* bytes of the mark, and those of it that are not the line's */

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int number_at(const char *at, int count, long long *value)
{
    *value = 0;
    for (; count; count--, at++) {
        if (*at < '0' || *at > '9')
            return 0;
        *value = *value * 10 + (*at - '0');
    }
    return *at == ' ';
}

static void take(struct viewer *viewer, size_t size, long long now)
{
    const char *at = buffer, *end = buffer + size, *found;
    long long stamp, number;
    while ((found = memmem(at, (size_t)(end - at), mark, marked)) != NULL) {
        const char *line = found + passed;
        if (end - line < HEAD) {
            at = found;
            break;
        }
        at = line + !passed;
        if (!number_at(line, STAMP, &stamp) || !number_at(line + STAMP + 1, NUMBER, &number))
            continue;
        at = line + HEAD;
        if (number < viewer->next) {
            viewer->doubled++;
            continue;
        }
        viewer->skipped += number - viewer->next;
        viewer->next = number + 1;
        viewer->got++;
        long long late = now - stamp;
        worst_ns = late > worst_ns ? late : worst_ns;
        size_t bucket = late < 0 ? 0 : (size_t)(late / 10000);
        buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    }
    if (found == NULL && end - at > (long)marked - 1)
        at = end - (marked - 1); /* a mark may be cut */
    viewer->kept = (size_t)(end - at);
    memcpy(viewer->rest, at, viewer->kept);
}

static double share(long long count, double part)
{
    long long seen = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        if ((seen += buckets[bucket]) >= (long long)((double)count * part))
            return (double)(bucket + 1) / 100;
    return 0;
}

int main(int argc, char **argv)
{
    int option;
    const char *greeting = "event: run", *upgrade = "";
    while ((option = getopt(argc, argv, "c:g:w")) != -1) {
        if (option == 'w') { /* the stamps of an uptime of three years begin with four zeros */
            mark = "0000", marked = 4, passed = 0;
            upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            continue;
        }
        if (option == 'g') {
            greeting = optarg;
            continue;
        }
        if (option != 'c')
            return 2;
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(atoi(optarg), &cores);
        sched_setaffinity(0, sizeof cores, &cores);
    }
    if (argc - optind != 5) {
        fprintf(stderr, "expected viewers PORT PATH VIEWERS LINES SECONDS [-c CORE] [-g GREETING] [-w]\n");
        return 2;
    }
    int port = atoi(argv[optind]), count = atoi(argv[optind + 2]), greeted = 0, done = 0;
    const char *path = argv[optind + 1];
    long long lines = atoll(argv[optind + 3]), deadline = now_ns() + atoll(argv[optind + 4]) * 1000000000LL;
    struct viewer *viewers = calloc((size_t)count, sizeof *viewers);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", path, port,
                          *upgrade ? upgrade : "Accept: text/event-stream\r\n");
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        viewers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(viewers[i].fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            write(viewers[i].fd, request, (size_t)length) != length) {
            perror("viewers: connect");
            return 1;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &viewers[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, viewers[i].fd, &event);
    }
    struct epoll_event events[512];
    double cpu_begun = 0;
    long long begun = 0, last = 0;
    while (done < count && now_ns() < deadline) {
        int ready = epoll_wait(poll, events, 512, 200);
        for (int i = 0; i < ready; i++) {
            struct viewer *viewer = events[i].data.ptr;
            memcpy(buffer, viewer->rest, viewer->kept);
            ssize_t size = read(viewer->fd, buffer + viewer->kept, BUFFER);
            long long now = now_ns();
            if (size <= 0) {
                epoll_ctl(poll, EPOLL_CTL_DEL, viewer->fd, NULL);
                done += !viewer->gone && viewer->next < lines;
                viewer->gone = 1;
                continue;
            }
            size_t all = viewer->kept + (size_t)size;
            if (!viewer->greeted && memmem(buffer, all, greeting, strlen(greeting))) {
                viewer->greeted = 1;
                if (++greeted == count) {
                    puts("ready");
                    fflush(stdout);
                    begun = now;
                    cpu_begun = cpu_s();
                }
            }
            long long before = viewer->next;
            take(viewer, all, now);
            if (viewer->next > before)
                last = now;
            done += before < lines && viewer->next >= lines;
        }
    }
    long long got = 0, doubled = 0, lost = 0, gone = 0;
    for (int i = 0; i < count; i++) {
        got += viewers[i].got;
        doubled += viewers[i].doubled;
        lost += viewers[i].skipped + (lines - viewers[i].next);
        gone += viewers[i].gone && viewers[i].next < lines;
    }
    double seconds = (double)(last - begun) / 1e9;
    printf("{\"greeted\": %d, \"got\": %lld, \"lost\": %lld, \"doubled\": %lld, \"gone\": %lld, \"p50\": %.2f, "
           "\"p99\": %.2f, \"worst\": %.2f, \"seconds\": %.2f, \"client\": %.2f}\n",
           greeted, got, lost, doubled, gone, share(got, 0.5), share(got, 0.99), (double)worst_ns / 1e6, seconds,
           seconds > 0 ? (cpu_s() - cpu_begun) / seconds : 0);
    return 0;
}
