// A switch in user space, for kernels without netem: hosts (network namespaces) with a full-duplex link of a rate, a delay and a loss each.
// usage: linksim DELAY_NANOS BITS_PER_SECOND LOSS_PPM SEED NAMESPACE...
//        linksim ping ADDRESS   50 echo requests from the network it runs in, one at a time; prints the round trips
// Host i gets 10.99.0.(i+1) on the TUN device link0. A packet leaves when its sender's and its receiver's link are both free, takes
// its length over the rate, and arrives DELAY_NANOS later, so a round trip takes two delays. A packet is lost with LOSS_PPM, or where
// 4096 already wait for its receiver. It prints "up" once all links are, and runs until it is killed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HOSTS = 16, QUEUE = 4096, MTU = 9000 };

typedef struct {
    uint64_t due;
    int length;
    uint8_t bytes[MTU];
} Packet;

typedef struct {
    int tun;
    uint64_t send_free, receive_free; // when its link is free again
    unsigned head, tail;
    Packet *queue; // to this host, in the order in which they arrive
} Host;

static Host hosts[MAX_HOSTS];

static uint64_t now_nanos(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "linksim: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }

// Makes link0 in a namespace and sets its address, size and state there.
static int open_tun(const char *name, int index) {
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET)) die(path);
    close(there);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0) die("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, "link0");
    if (ioctl(tun, TUNSETIFF, &request)) die("TUNSETIFF");
    int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0) die("socket");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a630001u + index)};
    memcpy(&request.ifr_addr, &address, sizeof address);
    if (ioctl(socket_fd, SIOCSIFADDR, &request)) die("address");
    address.sin_addr.s_addr = htonl(0xffffff00u);
    memcpy(&request.ifr_netmask, &address, sizeof address);
    if (ioctl(socket_fd, SIOCSIFNETMASK, &request)) die("netmask");
    request.ifr_mtu = MTU;
    if (ioctl(socket_fd, SIOCSIFMTU, &request)) die("mtu");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(socket_fd, SIOCSIFFLAGS, &request)) die("up");
    close(socket_fd);
    return tun;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Prints median, least and most round trip; an echo that is not answered within a second is lost. Exit status 1 if all are.
static int ping(const char *to) {
    enum { ECHOES = 50 };
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, to, &address.sin_addr) != 1) {
        fprintf(stderr, "linksim: not an address: %s\n", to);
        return 2;
    }
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (raw < 0 || connect(raw, (struct sockaddr *)&address, sizeof address)) die("ICMP socket");
    uint64_t trips[ECHOES];
    int answered = 0;
    for (int i = 0; i < ECHOES; i++) {
        struct icmphdr echo = {.type = ICMP_ECHO};
        echo.un.echo.id = (uint16_t)getpid();
        echo.un.echo.sequence = i;
        uint16_t words[sizeof echo / 2];
        memcpy(words, &echo, sizeof echo);
        uint32_t sum = 0;
        for (unsigned k = 0; k < sizeof echo / 2; k++) sum += words[k];
        sum = (sum & 0xffff) + (sum >> 16);
        echo.checksum = (uint16_t)~(sum + (sum >> 16));
        uint64_t start = now_nanos(), end = start + 1000000000;
        if (send(raw, &echo, sizeof echo, 0) < 0) die("send");
        for (uint64_t now = start; now < end; now = now_nanos()) {
            struct pollfd readable = {.fd = raw, .events = POLLIN};
            if (poll(&readable, 1, (int)((end - now) / 1000000) + 1) <= 0) continue;
            uint8_t bytes[128];
            struct icmphdr reply;
            int length = recv(raw, bytes, sizeof bytes, 0);
            int header = (bytes[0] & 15) * 4;
            if (length < header + (int)sizeof reply) continue;
            memcpy(&reply, bytes + header, sizeof reply);
            if (reply.type != ICMP_ECHOREPLY || reply.un.echo.id != echo.un.echo.id || reply.un.echo.sequence != i) continue;
            trips[answered++] = now_nanos() - start;
            break;
        }
    }
    printf("%s: %d of %d answered", to, answered, ECHOES);
    if (answered) {
        qsort(trips, answered, sizeof *trips, compare);
        printf(", round trip %.3f ms (%.3f to %.3f)", trips[answered / 2] / 1e6, trips[0] / 1e6, trips[answered - 1] / 1e6);
    }
    puts("");
    return !answered;
}

int main(int count, char **arguments) {
    if (count == 3 && !strcmp(arguments[1], "ping")) return ping(arguments[2]);
    int n = count - 5;
    if (n < 2 || n > MAX_HOSTS) {
        fprintf(stderr, "usage: linksim DELAY_NANOS BITS_PER_SECOND LOSS_PPM SEED NAMESPACE... (2 to 16)\n");
        return 2;
    }
    uint64_t delay = strtoull(arguments[1], 0, 10);
    double rate = strtod(arguments[2], 0);
    unsigned loss = strtoul(arguments[3], 0, 10);
    srand48(atol(arguments[4]));
    struct pollfd polled[MAX_HOSTS];
    for (int i = 0; i < n; i++) {
        hosts[i].tun = open_tun(arguments[5 + i], i);
        hosts[i].queue = malloc(sizeof(Packet) * QUEUE);
        if (!hosts[i].queue) die("memory");
        polled[i] = (struct pollfd){.fd = hosts[i].tun, .events = POLLIN};
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    puts("up");
    fflush(stdout);
    uint8_t bytes[MTU];
    for (;;) {
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < 32; k++) {
                int length = read(hosts[i].tun, bytes, sizeof bytes);
                if (length < 20) break;
                int to = bytes[0] >> 4 == 4 && bytes[16] == 10 && bytes[17] == 99 ? bytes[19] - 1 : -1;
                if (to < 0 || to >= n || lrand48() % 1000000 < (long)loss) continue;
                Host *receiver = &hosts[to];
                if (receiver->tail - receiver->head == QUEUE) continue;
                uint64_t start = max(now_nanos(), max(hosts[i].send_free, receiver->receive_free));
                uint64_t sent = start + (uint64_t)(length * 8e9 / rate);
                hosts[i].send_free = receiver->receive_free = sent;
                Packet *packet = &receiver->queue[receiver->tail++ % QUEUE];
                packet->due = sent + delay;
                packet->length = length;
                memcpy(packet->bytes, bytes, length);
            }
        }
        uint64_t now = now_nanos(), next = UINT64_MAX;
        for (int i = 0; i < n; i++) {
            Host *host = &hosts[i];
            while (host->head != host->tail && host->queue[host->head % QUEUE].due <= now) {
                Packet *packet = &host->queue[host->head++ % QUEUE];
                if (write(host->tun, packet->bytes, packet->length) < 0 && errno != EAGAIN) perror("linksim: write");
            }
            if (host->head != host->tail && host->queue[host->head % QUEUE].due < next)
                next = host->queue[host->head % QUEUE].due;
        }
        now = now_nanos();
        uint64_t left = next > now ? next - now : 0;
        struct timespec wait = {left / 1000000000, left % 1000000000};
        ppoll(polled, n, next == UINT64_MAX ? NULL : &wait, NULL);
    }
}
