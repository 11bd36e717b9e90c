/*
 * A client of such a chat: what is typed is said on channel 0, reliable, or, after a `~`, on channel 1, unreliable;
 * `leave N` ends it with data N. What comes is told.
 *
 *     chat_client HOST PORT DATA
 */
#include <enet/enet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    ENetAddress address;
    ENetEvent event;
    char line[600];
    size_t len = 0;
    enet_initialize();
    setvbuf(stdout, NULL, _IOLBF, 0);
    enet_address_set_host(&address, argv[1]);
    address.port = (enet_uint16)atoi(argv[2]);
    ENetHost *host = enet_host_create(NULL, 1, 2, 0, 0);
    ENetPeer *peer = enet_host_connect(host, &address, 2, (enet_uint32)atoi(argv[3]));
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (;;) {
        while (enet_host_service(host, &event, 10) > 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT) printf("connected\n");
            if (event.type == ENET_EVENT_TYPE_DISCONNECT) { printf("disconnected with %u\n", event.data); return 0; }
            if (event.type == ENET_EVENT_TYPE_RECEIVE) {
                printf("on channel %u: %.*s\n", event.channelID, (int)event.packet->dataLength, event.packet->data);
                enet_packet_destroy(event.packet);
            }
        }
        while (len < sizeof line - 1 && read(0, line + len, 1) == 1) {
            if (line[len] != '\n') { len++; continue; }
            line[len] = 0;
            int is_lossy = line[0] == '~';
            if (!strncmp(line, "leave ", 6)) enet_peer_disconnect_later(peer, (enet_uint32)atoi(line + 6));
            else enet_peer_send(peer, is_lossy ? 1 : 0, enet_packet_create(line + is_lossy, len - (size_t)is_lossy,
                is_lossy ? 0 : ENET_PACKET_FLAG_RELIABLE));
            len = 0;
        }
    }
}
