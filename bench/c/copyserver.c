/* The least that physics allows: for each connection run a command and copy its pipe to the socket.
 *
 *   copyserver PORT COMMAND [ARGUMENT ...]
 *
 * One connection after the other; no HTTP but a fixed head. Ends with SIGTERM.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[65536];

int main(int argc, char **argv) {
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (argc < 3) return 2;
    address.sin_port = htons(atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
        perror("copyserver");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int ends[2], status, connection = accept(listener, 0, 0);
        ssize_t count;
        if (connection < 0 || read(connection, buffer, sizeof buffer) <= 0) {
            close(connection);
            continue;
        }
        if (write(connection, head, sizeof head - 1) < 0 || pipe(ends)) return 1;
        pid_t child = fork();
        if (child == 0) {
            dup2(ends[1], 1);
            close(ends[0]);
            close(ends[1]);
            execvp(argv[2], argv + 2);
            _exit(127);
        }
        close(ends[1]);
        while ((count = read(ends[0], buffer, sizeof buffer)) > 0)
            for (ssize_t at = 0, done; at < count; at += done)
                if ((done = write(connection, buffer + at, count - at)) <= 0) {
                    count = 0;
                    break;
                }
        close(ends[0]);
        close(connection);
        waitpid(child, &status, 0);
    }
}
