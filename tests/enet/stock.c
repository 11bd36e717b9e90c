/* A stock ENet that does what it is told on its standard input, a line at a time, and tells what
 * happens on its standard output. Built against the system's libenet.
 *
 *   stock listen PORT PEERS CHANNELS OPTIONS     stock connect PORT CHANNELS DATA OPTIONS
 *
 * OPTIONS: letters of c (checksum), z (range coder), e (echo), or - for none.
 */
#include <enet/enet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ENetHost *host;
static int echoes;

static unsigned hash(const unsigned char *data, size_t len)
{
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

static unsigned flags_of(char kind)
{
    switch (kind) {
    case 'r': return ENET_PACKET_FLAG_RELIABLE;
    case 's': return ENET_PACKET_FLAG_UNSEQUENCED;
    case 'f': return ENET_PACKET_FLAG_UNRELIABLE_FRAGMENT;
    default: return 0;
    }
}

static void send_packets(ENetPeer *peer, unsigned channel, char kind, size_t len, unsigned seed, unsigned count)
{
    for (; count > 0; count--, seed++) {
        ENetPacket *packet = enet_packet_create(NULL, len, flags_of(kind));
        for (size_t i = 0; i < len; i++)
            packet->data[i] = (unsigned char)(seed + i * 31 + (i >> 8));
        if (enet_peer_send(peer, channel, packet) != 0) {
            printf("unsent %u\n", channel);
            enet_packet_destroy(packet);
        }
    }
}

static void obey(const char *line)
{
    unsigned n, a, b, c, count;
    size_t len;
    char kind;
    if (sscanf(line, "send %u %u %c %zu %u %u", &n, &a, &kind, &len, &b, &count) == 6)
        send_packets(&host->peers[n], a, kind, len, b, count);
    else if (sscanf(line, "disconnect %u %u", &n, &a) == 2)
        enet_peer_disconnect(&host->peers[n], a);
    else if (sscanf(line, "later %u %u", &n, &a) == 2)
        enet_peer_disconnect_later(&host->peers[n], a);
    else if (sscanf(line, "now %u %u", &n, &a) == 2)
        enet_peer_disconnect_now(&host->peers[n], a);
    else if (sscanf(line, "timeout %u %u %u %u", &n, &a, &b, &c) == 4)
        enet_peer_timeout(&host->peers[n], a, b, c);
    else if (sscanf(line, "bandwidth %u %u", &a, &b) == 2)
        enet_host_bandwidth_limit(host, a, b);
    else if (sscanf(line, "throttle %u %u %u %u", &n, &a, &b, &c) == 4)
        enet_peer_throttle_configure(&host->peers[n], a, b, c);
    else if (sscanf(line, "stats %u", &n) == 1)
        printf("stats %u %u %u %u %u\n", host->peers[n].mtu, host->peers[n].windowSize,
               host->peers[n].roundTripTime, host->peers[n].incomingBandwidth,
               host->peers[n].packetThrottle);
    else if (strncmp(line, "quit", 4) == 0)
        exit(0);
}

static void tell(ENetEvent *event)
{
    unsigned n = (unsigned)(event->peer - host->peers);
    switch (event->type) {
    case ENET_EVENT_TYPE_CONNECT:
        printf("connect %u %u %zu\n", n, event->data, event->peer->channelCount);
        break;
    case ENET_EVENT_TYPE_DISCONNECT:
        printf("disconnect %u %u\n", n, event->data);
        break;
    case ENET_EVENT_TYPE_RECEIVE:
        if (echoes) {
            if (enet_peer_send(event->peer, event->channelID, event->packet) == 0)
                break;
        } else {
            printf("receive %u %u %u %zu %u\n", n, event->channelID, event->packet->flags,
                   event->packet->dataLength, hash(event->packet->data, event->packet->dataLength));
        }
        enet_packet_destroy(event->packet);
        break;
    default:
        break;
    }
}

int main(int argc, char **argv)
{
    if (argc < 6 || enet_initialize() != 0)
        return 2;
    const char *options = argv[5];
    ENetAddress address = {.port = (enet_uint16)atoi(argv[2])};
    enet_address_set_host(&address, "127.0.0.1");
    int listens = strcmp(argv[1], "listen") == 0;
    host = listens ? enet_host_create(&address, atoi(argv[3]), atoi(argv[4]), 0, 0)
                   : enet_host_create(NULL, 4, 0, 0, 0);
    if (host == NULL)
        return 3;
    if (strchr(options, 'c'))
        host->checksum = enet_crc32;
    if (strchr(options, 'z'))
        enet_host_compress_with_range_coder(host);
    echoes = strchr(options, 'e') != NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready %u\n", host->address.port);
    if (!listens)
        enet_host_connect(host, &address, atoi(argv[3]), (enet_uint32)strtoul(argv[4], NULL, 10));

    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    char line[256];
    size_t len = 0;
    for (;;) {
        ENetEvent event;
        int happened = enet_host_service(host, &event, 1);
        for (; happened > 0; happened = enet_host_check_events(host, &event))
            tell(&event);
        if (happened < 0)
            return 4;
        ssize_t got;
        while ((got = read(0, line + len, 1)) == 1) {
            if (line[len] == '\n' || len == sizeof line - 2) {
                line[len + 1] = 0;
                obey(line);
                len = 0;
            } else
                len++;
        }
        if (got == 0)
            return 0;
    }
}
