/* Publish each line of stdin with a POST of its own, over one connection, as fast as the replies come.
 *
 *     publish PORT PATH [-c CORE]
 *
 * The way in which a program feeds a server of channels such as nchan. Lines that come meanwhile
 * wait in the pipe, so a server that is too slow holds the program back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char reply[65536];

/* Reads one reply: its head, and the body that Content-Length tells. Returns 0 at an error. */
static int read_reply(int fd)
{
    size_t got = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t size = read(fd, reply + got, sizeof reply - 1 - got);
        if (size <= 0)
            return 0;
        got += (size_t)size;
        reply[got] = 0;
        end = strstr(reply, "\r\n\r\n");
    }
    char *length = strcasestr(reply, "content-length:");
    size_t whole = (size_t)(end + 4 - reply) + (length ? (size_t)atol(length + 15) : 0);
    while (got < whole) {
        ssize_t size = read(fd, reply, sizeof reply);
        if (size <= 0)
            return 0;
        got += (size_t)size;
    }
    return 1;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "c:")) != -1) {
        if (option != 'c')
            return 2;
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(atoi(optarg), &cores);
        sched_setaffinity(0, sizeof cores, &cores);
    }
    if (argc - optind != 2) {
        fprintf(stderr, "expected publish PORT PATH [-c CORE]\n");
        return 2;
    }
    int port = atoi(argv[optind]), fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("publish: connect");
        return 1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char *line = NULL, request[8192];
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) > 0) {
        size -= line[size - 1] == '\n';
        if (size > 4096)
            return 1;
        int length = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zd\r\n\r\n%.*s",
                              argv[optind + 1], size, (int)size, line);
        if (write(fd, request, (size_t)length) != length || !read_reply(fd)) {
            perror("publish");
            return 1;
        }
    }
    return 0;
}
