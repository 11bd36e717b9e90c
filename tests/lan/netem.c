/* A cable between two network namespaces on which datagrams of UDP are lost, late and overtaken, as the kernel's netem
 * does it, which not every kernel has: two TUN devices, and this, which carries packets from one to the other.
 *
 *   netem PID NAME  PID NAME  LOSS DELAY JITTER SEED
 *
 * A device of that name in the network of each process; LOSS of a hundred, DELAY and JITTER in milliseconds. It says
 * `ready`, obeys `cut`, `mend` and `counts` on its standard input, and ends with that.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Packets under way; what comes then is lost, as at a router whose queue is full. */
#define UNDER_WAY_MAX 4096
#define MTU 1500
#define UDP 17

struct packet {
    uint64_t due, number;
    int to;
    ssize_t len;
    unsigned char bytes[MTU];
};

static struct packet under_way[UNDER_WAY_MAX];
static int waiting, is_cut;
static uint64_t next, latest[2], carried, overtaken, lost, chance;

static uint64_t micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A number below `end`, by splitmix64. */
static uint64_t below(uint64_t end)
{
    uint64_t z = chance += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return end == 0 ? 0 : z % end;
}

static int device(const char *pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int network = open(path, O_RDONLY | O_CLOEXEC);
    if (network < 0 || setns(network, CLONE_NEWNET) != 0)
        return -1;
    close(network);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) != 0)
        return -1;
    return tun;
}

/* Lets chance decide what becomes of the packets that a device has. */
static void take(const int tuns[2], int from, uint64_t loss, uint64_t delay, uint64_t jitter)
{
    unsigned char bytes[MTU];
    ssize_t len;
    while ((len = read(tuns[from], bytes, sizeof bytes)) > 0) {
        if (len < 20 || bytes[0] >> 4 != 4 || bytes[9] != UDP) {
            /* What the system does not take is as good as lost. */
            ssize_t written = write(tuns[!from], bytes, (size_t)len);
            (void)written;
            continue;
        }
        int is_lost = below(100) < loss;
        uint64_t late = delay + below(2 * jitter + 1);
        if (is_lost || is_cut || waiting == UNDER_WAY_MAX) {
            lost++;
            continue;
        }
        struct packet *packet = &under_way[waiting++];
        packet->due = micros() + (late > jitter ? late - jitter : 0);
        packet->number = ++next;
        packet->to = !from;
        packet->len = len;
        memcpy(packet->bytes, bytes, (size_t)len);
    }
}

/* Those that are due, the earliest first; when the next will be. */
static uint64_t deliver(const int tuns[2])
{
    for (;;) {
        int first = -1;
        for (int n = 0; n < waiting; n++)
            if (first < 0 || under_way[n].due < under_way[first].due)
                first = n;
        if (first < 0 || under_way[first].due > micros())
            return first < 0 ? UINT64_MAX : under_way[first].due;
        struct packet *packet = &under_way[first];
        /* What the system does not take is as good as lost. */
        if (write(tuns[packet->to], packet->bytes, (size_t)packet->len) > 0)
            carried++;
        if (packet->number < latest[packet->to])
            overtaken++;
        else
            latest[packet->to] = packet->number;
        if (first != --waiting)
            *packet = under_way[waiting];
    }
}

static void obey(void)
{
    char lines[256];
    ssize_t len = read(0, lines, sizeof lines - 1);
    if (len <= 0)
        exit(0);
    lines[len] = 0;
    for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strcmp(line, "counts") == 0)
            printf("%llu %llu %llu\n", (unsigned long long)carried, (unsigned long long)overtaken,
                   (unsigned long long)lost);
        else
            is_cut = strcmp(line, "cut") == 0;
    }
}

int main(int argc, char **argv)
{
    if (argc != 9)
        return 2;
    int tuns[2] = {device(argv[1], argv[2]), device(argv[3], argv[4])};
    uint64_t loss = strtoull(argv[5], NULL, 10);
    uint64_t delay = strtoull(argv[6], NULL, 10) * 1000, jitter = strtoull(argv[7], NULL, 10) * 1000;
    chance = strtoull(argv[8], NULL, 10);
    if (tuns[0] < 0 || tuns[1] < 0) {
        perror("netem");
        return 3;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    for (;;) {
        uint64_t due = deliver(tuns), now = micros();
        int wait = due == UINT64_MAX ? -1 : due <= now ? 0 : (int)((due - now + 999) / 1000);
        struct pollfd polled[3] = {{0, POLLIN, 0}, {tuns[0], POLLIN, 0}, {tuns[1], POLLIN, 0}};
        if (poll(polled, 3, wait) < 0)
            return 4;
        if (polled[0].revents)
            obey();
        for (int end = 0; end < 2; end++)
            if (polled[end + 1].revents)
                take(tuns, end, loss, delay, jitter);
    }
}
