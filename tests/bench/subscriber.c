/* The least that a subscriber of MQTT 3.1.1 needs: reads what the socket has, cuts PUBLISH packets of QoS 1 out of
 * it, answers all of a read with one write of PUBACKs. Nothing is decoded or kept.
 *
 *   cc -O2 -o subscriber subscriber.c && ./subscriber PORT TOPIC COUNT
 *
 * Prints "ready" once it is subscribed, and when COUNT messages have come: {"seconds": from the first to the last
 * of them, "cpu_s": user and system time since it was subscribed, "messages": COUNT}. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE (1 << 20)
static unsigned char data[SIZE], answer[SIZE];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double used(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void fail(const char *why) {
    perror(why);
    exit(1);
}

static void all(int link, const unsigned char *from, size_t size) {
    while (size) {
        ssize_t sent = write(link, from, size);
        if (sent <= 0) fail("write");
        from += sent;
        size -= (size_t)sent;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return fprintf(stderr, "PORT TOPIC COUNT\n"), 2;
    long count = atol(argv[3]), seen = 0;
    size_t topic = strlen(argv[2]), have = 0, acks;
    if (topic > 100) return 2;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int link = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (link < 0 || connect(link, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    all(link, (const unsigned char *)"\x10\x16\0\4MQTT\4\2\0\0\0\12subscriber", 24);
    if (read(link, data, 4) != 4 || data[3]) fail("connack");
    unsigned char ask[128] = {0x82, (unsigned char)(topic + 5), 0, 1, 0, (unsigned char)topic};
    memcpy(ask + 6, argv[2], topic);
    ask[6 + topic] = 1;
    all(link, ask, 7 + topic);
    if (read(link, data, 5) != 5) fail("suback");
    puts("ready");
    fflush(stdout);
    double first = 0, cpu = used();
    while (seen < count) {
        ssize_t got = read(link, data + have, SIZE - have);
        if (got <= 0) fail("read");
        have += (size_t)got;
        size_t at = 0;
        acks = 0;
        while (have - at >= 2) {
            size_t length = 0, place = 1, shift = 0;
            while (at + place < have && place < 5) {
                unsigned char digit = data[at + place++];
                length |= (size_t)(digit & 127) << shift;
                shift += 7;
                if (digit < 128) goto whole;
            }
            break; /* its length has not come whole */
        whole:
            if (at + place + length > have) break;
            if ((data[at] & 0xf6) == 0x32) {
                size_t id = at + place + 2 + ((size_t)data[at + place] << 8 | data[at + place + 1]);
                memcpy(answer + acks, "\x40\2", 2);
                memcpy(answer + acks + 2, data + id, 2);
                acks += 4;
                if (!seen++) first = now();
            }
            at += place + length;
        }
        all(link, answer, acks);
        memmove(data, data + at, have - at);
        have -= at;
    }
    printf("{\"seconds\": %.3f, \"cpu_s\": %.3f, \"messages\": %ld}\n", now() - first, used() - cpu, seen);
    return 0;
}
