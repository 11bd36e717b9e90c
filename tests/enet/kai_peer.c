/*
 * A node of KAI for tests, written from the layout of its messages and sharing no code with Peerage: ENet with 32
 * peers and 2 channels, everything reliable on channel 0, ints as the machine has them.
 *
 *     kai_peer connect HOST PORT [COUNT]      COUNT nodes; lines are typed to the first
 *     kai_peer listen PORT
 *
 * Its agent 7 is a calculator: Add(a, b), AddLater(future, b), Fail(), Join(strings…), Echo(x); properties Total, Name.
 * Lines on the standard input are messages to send, and what comes is told on the standard output.
 */
#include <enet/enet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OBJECT = 128, CALL, EVENT, RESPONSE, GET, SET, RESOLVE, COMMAND = 138, RESULT, BROADCAST, LANGUAGE, BINARY };
enum { BOOL = 21, SIGNED32 = 22, DOUBLE = 24, STRING = 25, ARRAY = 28 };
enum { BAD_REQUEST = 4, RETURNED = 6 };

typedef struct { uint8_t bytes[65536]; int len; } Out;
typedef struct { const uint8_t *at, *end; int bad; } In;

static int total;
static char name[64] = "calc";
static struct { int future, import, add; ENetPeer *peer; } later[16];

static void put(Out *o, const void *bytes, int len) { memcpy(o->bytes + o->len, bytes, (size_t)len); o->len += len; }
static void put_byte(Out *o, int byte) { uint8_t b = (uint8_t)byte; put(o, &b, 1); }
static void put_int(Out *o, int32_t n) { put(o, &n, 4); }
static void put_text(Out *o, const char *text) { put_int(o, (int)strlen(text)); put(o, text, (int)strlen(text)); }

/* Objects: type number, value, number of children. */
static void obj_int(Out *o, int n) { put_int(o, SIGNED32); put_int(o, n); put_int(o, 0); }
static void obj_double(Out *o, double d) { put_int(o, DOUBLE); put(o, &d, 8); put_int(o, 0); }
static void obj_bool(Out *o, int bit) { put_int(o, BOOL); put_byte(o, bit); put_int(o, 0); }
static void obj_text(Out *o, const char *text) { put_int(o, STRING); put_text(o, text); put_int(o, 0); }

/* An object in a message has its size before it. */
static void put_sized(Out *o, const Out *object) { put_int(o, object->len); put(o, object->bytes, object->len); }

static void get(In *i, void *to, int len) {
    if (i->end - i->at < len) { i->bad = 1; memset(to, 0, (size_t)len); return; }
    memcpy(to, i->at, (size_t)len);
    i->at += len;
}
static int get_int(In *i) { int32_t n; get(i, &n, 4); return n; }
static void get_text(In *i, char *to, int size) {
    int len = get_int(i);
    if (len < 0 || len >= size || i->end - i->at < len) { i->bad = 1; *to = 0; return; }
    get(i, to, len);
    to[len] = 0;
}

typedef struct { int type, n; double d; char text[512]; int count; In items; } Object;

/* Reads one object; of an array, where its items are. */
static Object get_object(In *i) {
    Object object = { .type = get_int(i) };
    uint8_t byte;
    switch (object.type) {
    case 0: return object;
    case BOOL: get(i, &byte, 1); object.n = byte; break;
    case SIGNED32: object.n = get_int(i); object.d = object.n; break;
    case DOUBLE: get(i, &object.d, 8); break;
    case STRING: get_text(i, object.text, sizeof object.text); break;
    case ARRAY:
        object.count = get_int(i);
        object.items = *i;
        for (int n = 0; n < object.count && !i->bad; n++) get_object(i);
        break;
    default: i->bad = 1; return object;
    }
    if (get_int(i) != 0) i->bad = 1;
    return object;
}

static Object get_sized(In *i) {
    int size = get_int(i);
    Object none = { 0 };
    if (size == 0) return none;
    return get_object(i);
}

static void say_object(Object object, const char *end) {
    switch (object.type) {
    case 0: printf("null%s", end); break;
    case BOOL: printf("%s%s", object.n ? "true" : "false", end); break;
    case SIGNED32: printf("%d%s", object.n, end); break;
    case DOUBLE: printf("%g%s", object.d, end); break;
    case STRING: printf("\"%s\"%s", object.text, end); break;
    case ARRAY:
        printf("[");
        for (int n = 0; n < object.count; n++) say_object(get_object(&object.items), n + 1 < object.count ? " " : "");
        printf("]%s", end);
        break;
    default: printf("?%s", end);
    }
}

static void send_to(ENetPeer *peer, const Out *o) {
    enet_peer_send(peer, 0, enet_packet_create(o->bytes, (size_t)o->len, ENET_PACKET_FLAG_RELIABLE));
}

static void respond(ENetPeer *peer, int future, int outcome, const char *error, const Out *result) {
    Out o = { .len = 0 };
    if (!future) return;
    put_byte(&o, RESPONSE);
    put_int(&o, future);
    put_int(&o, outcome);
    put_text(&o, error);
    if (result) put_sized(&o, result); else put_int(&o, 0);
    send_to(peer, &o);
}

static void called(ENetPeer *peer, In *i) {
    char method[64];
    int handle = get_int(i), future = get_int(i);
    get_text(i, method, sizeof method);
    Object args = get_sized(i), a = { 0 }, b = { 0 };
    if (args.count > 0) a = get_object(&args.items);
    if (args.count > 1) b = get_object(&args.items);
    Out result = { .len = 0 };
    if (handle == 7 && !strcmp(method, "Add")) {
        if (a.type == SIGNED32 && b.type == SIGNED32) obj_int(&result, total = a.n + b.n);
        else obj_double(&result, a.d + b.d);
    } else if (handle == 7 && !strcmp(method, "AddLater") && a.type == ARRAY && a.count == 2) {
        Object is_there = get_object(&a.items), id = get_object(&a.items);
        for (int n = 0; n < 16 && !is_there.n; n++) if (!later[n].future) {
            later[n].future = future, later[n].import = id.n, later[n].add = b.n, later[n].peer = peer;
            return;
        }
        obj_int(&result, id.n + b.n);
    } else if (handle == 7 && !strcmp(method, "Echo")) {
        if (a.type == STRING) obj_text(&result, a.text); else obj_bool(&result, a.n);
    } else if (handle == 7 && !strcmp(method, "Silent")) return;
    else if (handle == 7 && !strcmp(method, "Fail")) { respond(peer, future, BAD_REQUEST, "it cannot be", NULL); return; }
    else { respond(peer, future, BAD_REQUEST, "Unknown agent or method", NULL); return; }
    respond(peer, future, RETURNED, "", &result);
}

static void property(ENetPeer *peer, In *i, int is_set) {
    char which[64];
    int handle = get_int(i), future = get_int(i);
    get_text(i, which, sizeof which);
    Out result = { .len = 0 };
    if (handle == 7 && !strcmp(which, "Total")) {
        if (is_set) total = get_sized(i).n;
        obj_int(&result, total);
    } else if (handle == 7 && !strcmp(which, "Name")) {
        if (is_set) snprintf(name, sizeof name, "%.60s", get_sized(i).text);
        obj_text(&result, name);
    } else { respond(peer, future, BAD_REQUEST, "Unknown property", NULL); return; }
    respond(peer, future, RETURNED, "", is_set ? NULL : &result);
}

static void console(ENetPeer *peer, In *i, int is_answered) {
    char sender[64], command[256], result[300];
    int a, b;
    get_text(i, sender, sizeof sender);
    get_text(i, command, sizeof command);
    if (sscanf(command, "%d+%d", &a, &b) == 2) snprintf(result, sizeof result, "%d", a + b);
    else snprintf(result, sizeof result, "Unknown command: %s", command);
    printf("command from %s: %s\n", sender, command);
    if (!is_answered) return;
    Out o = { .len = 0 };
    put_byte(&o, RESULT);
    put_text(&o, "kai");
    put_text(&o, command);
    put_text(&o, result);
    send_to(peer, &o);
}

static void resolved(In *i) {
    int import = get_int(i);
    Object value = get_sized(i);
    for (int n = 0; n < 16; n++) if (later[n].future && later[n].import == import) {
        Out result = { .len = 0 };
        obj_int(&result, value.n + later[n].add);
        respond(later[n].peer, later[n].future, RETURNED, "", &result);
        later[n].future = 0;
    }
}

static void hear(ENetPeer *peer, const uint8_t *bytes, size_t len) {
    In i = { bytes + 1, bytes + len, 0 };
    char text[512], more[512];
    switch (len ? bytes[0] : 0) {
    case OBJECT: printf("object "); say_object(get_sized(&i), "\n"); break;
    case CALL: called(peer, &i); break;
    case EVENT: get_text(&i, text, sizeof text); printf("event %s %.*s\n", text, (int)(i.end - i.at), i.at); break;
    case RESPONSE: {
        int future = get_int(&i), outcome = get_int(&i);
        get_text(&i, text, sizeof text);
        printf("response %d %d \"%s\" ", future, outcome, text);
        say_object(get_sized(&i), "\n");
        break;
    }
    case GET: property(peer, &i, 0); break;
    case SET: property(peer, &i, 1); break;
    case RESOLVE: resolved(&i); break;
    case COMMAND: console(peer, &i, 1); break;
    case BROADCAST: console(peer, &i, 0); break;
    case RESULT:
        get_text(&i, text, sizeof text);
        get_text(&i, more, sizeof more);
        printf("result from %s of %s: ", text, more);
        get_text(&i, text, sizeof text);
        printf("%s\n", text);
        break;
    default: printf("unknown message %d\n", len ? bytes[0] : -1);
    }
    if (i.bad) printf("a bad message\n");
}

/* An argument as it is typed: an int, a text in quotes, `?n` for a value to come, `!n` for one that has. */
static void put_arg(Out *o, const char *word) {
    if (*word == '?' || *word == '!') {
        put_int(o, ARRAY);
        put_int(o, 2);
        obj_bool(o, *word == '!');
        obj_int(o, atoi(word + 1));
        put_int(o, 0);
    } else if (*word == '"') {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)strlen(word) - 2, word + 1);
        obj_text(o, text);
    } else obj_int(o, atoi(word));
}

static void typed(ENetPeer *peer, char *line) {
    Out o = { .len = 0 }, object = { .len = 0 };
    line[strcspn(line, "\n")] = 0;
    char *rest = strchr(line, ' ');
    rest = rest ? rest + 1 : line + strlen(line);
    if (!strncmp(line, "call ", 5)) { /* call HANDLE FUTURE METHOD ARGUMENT… */
        int handle = atoi(strtok(rest, " ")), future = atoi(strtok(NULL, " ")), count = 0;
        char *method = strtok(NULL, " ");
        Out items = { .len = 0 };
        for (char *word; (word = strtok(NULL, " ")); count++) put_arg(&items, word);
        put_int(&object, ARRAY);
        put_int(&object, count);
        put(&object, items.bytes, items.len);
        put_int(&object, 0);
        put_byte(&o, CALL);
        put_int(&o, handle);
        put_int(&o, future);
        put_text(&o, method);
        put_sized(&o, &object);
    } else if (!strncmp(line, "get ", 4) || !strncmp(line, "set ", 4)) { /* get HANDLE FUTURE NAME · set … VALUE */
        put_byte(&o, *line == 'g' ? GET : SET);
        put_int(&o, atoi(strtok(rest, " ")));
        put_int(&o, atoi(strtok(NULL, " ")));
        put_text(&o, strtok(NULL, " "));
        if (*line == 's') { put_arg(&object, strtok(NULL, " ")); put_sized(&o, &object); }
    } else if (!strncmp(line, "resolve ", 8)) { /* resolve NUMBER VALUE: as older nodes say it */
        put_byte(&o, RESOLVE);
        put_int(&o, atoi(strtok(rest, " ")));
        put_arg(&object, strtok(NULL, " "));
        put_sized(&o, &object);
    } else if (!strncmp(line, "event ", 6)) { /* event NAME PAYLOAD */
        char *which = strtok(rest, " "), *payload = strtok(NULL, "");
        put_byte(&o, EVENT);
        put_text(&o, which);
        put(&o, payload, (int)strlen(payload));
    } else if (!strncmp(line, "object ", 7)) {
        put_byte(&o, OBJECT);
        put_arg(&object, rest);
        put_sized(&o, &object);
    } else if (!strncmp(line, "command ", 8) || !strncmp(line, "broadcast ", 10)) {
        put_byte(&o, *line == 'c' ? COMMAND : BROADCAST);
        put_text(&o, "kai-console");
        put_text(&o, rest);
        put_int(&o, 1);
    } else if (!strncmp(line, "hex ", 4)) {
        unsigned byte;
        for (; sscanf(rest, "%2x", &byte) == 1; rest += 2) put_byte(&o, (int)byte);
    } else if (!strcmp(line, "leave")) {
        enet_peer_disconnect_later(peer, 0);
        return;
    }
    send_to(peer, &o);
}

int main(int argc, char **argv) {
    enet_initialize();
    setvbuf(stdout, NULL, _IOLBF, 0);
    int is_listening = argc == 3 && !strcmp(argv[1], "listen");
    int count = argc == 5 ? atoi(argv[4]) : 1;
    ENetAddress address = { .host = ENET_HOST_ANY };
    ENetHost *hosts[64];
    ENetPeer *first = NULL;
    if (is_listening) {
        address.port = (uint16_t)atoi(argv[2]);
        enet_address_set_host(&address, "127.0.0.1");
    } else {
        enet_address_set_host(&address, argv[2]);
        address.port = (uint16_t)atoi(argv[3]);
    }
    for (int n = 0; n < count; n++) {
        hosts[n] = enet_host_create(is_listening ? &address : NULL, 32, 2, 0, 0);
        if (!hosts[n]) return 1;
        if (!is_listening) { ENetPeer *peer = enet_host_connect(hosts[n], &address, 2, 0); if (!n) first = peer; }
    }
    fcntl(0, F_SETFL, O_NONBLOCK);
    char line[4096];
    size_t len = 0;
    for (int connected = 0;;) {
        ENetEvent event;
        for (int n = 0; n < count; n++) while (enet_host_service(hosts[n], &event, 1) > 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT) {
                if (is_listening) first = event.peer;
                /* Any message tells what it is: an event that nobody knows does no harm. */
                if (!is_listening) { char hello[] = "event hello now"; typed(event.peer, hello); }
                printf("connected %d\n", ++connected);
            } else if (event.type == ENET_EVENT_TYPE_DISCONNECT) {
                printf("disconnected %x\n", event.data);
                if (!is_listening) return 0;
            } else if (event.type == ENET_EVENT_TYPE_RECEIVE) {
                hear(event.peer, event.packet->data, event.packet->dataLength);
                enet_packet_destroy(event.packet);
            }
        }
        while (len < sizeof line - 1 && read(0, line + len, 1) == 1) {
            if (line[len++] != '\n') continue;
            line[len] = 0;
            len = 0;
            if (first) typed(first, line);
        }
    }
}
