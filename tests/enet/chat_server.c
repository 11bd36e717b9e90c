/*
 * A chat as ENet's users write it, which knows nothing of Peerage: what one says on channel 0 everybody hears; what
 * comes on channel 1 goes back as it came. Who calls with data 13 is turned away, with data 7.
 *
 *     chat_server PORT        says where it listens; "bye" on its standard input sends everybody away with data 99
 */
#include <enet/enet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell_all(ENetHost *host, const char *text) {
    enet_host_broadcast(host, 0, enet_packet_create(text, strlen(text), ENET_PACKET_FLAG_RELIABLE));
}

static void hear(ENetHost *host, ENetEvent *event) {
    char line[600];
    ENetPacket *packet = event->packet;
    if (event->channelID == 1) {
        enet_uint32 flags = packet->flags & (ENET_PACKET_FLAG_RELIABLE | ENET_PACKET_FLAG_UNSEQUENCED);
        printf("echo of %zu bytes, flags %u\n", packet->dataLength, flags);
        enet_peer_send(event->peer, 1, enet_packet_create(packet->data, packet->dataLength, flags));
    } else {
        snprintf(line, sizeof line, "guest %u: %.*s", event->peer->incomingPeerID, (int)packet->dataLength, packet->data);
        printf("%s\n", line);
        tell_all(host, line);
    }
    enet_packet_destroy(packet);
}

int main(int argc, char **argv) {
    ENetAddress address = { .port = (enet_uint16)(argc > 1 ? atoi(argv[1]) : 0) };
    enet_initialize();
    setvbuf(stdout, NULL, _IOLBF, 0);
    enet_address_set_host(&address, "127.0.0.1");
    ENetHost *host = enet_host_create(&address, 32, 2, 0, 0);
    if (!host) return 1;
    enet_socket_get_address(host->socket, &address);
    printf("listening at %u\n", address.port);
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (;;) {
        ENetEvent event;
        char line[64] = "";
        while (enet_host_service(host, &event, 10) > 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT) {
                printf("guest %u comes with %u\n", event.peer->incomingPeerID, event.data);
                if (event.data == 13) enet_peer_disconnect(event.peer, 7);
                else tell_all(host, "somebody comes");
            } else if (event.type == ENET_EVENT_TYPE_DISCONNECT) {
                printf("guest %u leaves with %u\n", event.peer->incomingPeerID, event.data);
            } else if (event.type == ENET_EVENT_TYPE_RECEIVE) hear(host, &event);
        }
        if (read(0, line, sizeof line - 1) > 0 && !strncmp(line, "bye", 3))
            for (size_t n = 0; n < host->peerCount; n++) enet_peer_disconnect_later(&host->peers[n], 99);
    }
}
