/*
 * A sensor that joins a Peerage mesh with nothing but ENet: cc -o sensor sensor.c -lenet -lm
 *
 *     ./sensor 127.0.0.1 14589 boiler
 *
 * It is a node named `boiler` then. From any other, for example a browser's tab:
 *
 *     await node.proxy("boiler", "Sensor").read()                  // 20.9
 *     node.proxy("boiler", "Sensor").watch("celsius", show)        // whenever it changes
 *     node.start("boiler", "calibrate", 5)                         // an operation with progress
 *     await node.subscribe("sensors/boiler/#")                     // what it publishes
 *
 * Messages are lists in CBOR (RFC 8949), reliable and on channel 0: docs/protocol.md, "Small programs".
 */
#include <enet/enet.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- CBOR, as much of it as is needed: what is written, and what is read. --- */

enum { UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, LIST = 4, MAP = 5, TAG = 6, OTHER = 7 };

typedef struct { uint8_t bytes[512]; size_t len; } Writer;
typedef struct { const uint8_t *at, *end; } Reader;

static void put(Writer *w, const void *bytes, size_t len) {
    if (w->len + len > sizeof w->bytes) { fprintf(stderr, "sensor: a message is too long\n"); exit(1); }
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

static void put_head(Writer *w, int major, uint32_t n) {
    uint8_t head[5] = { (uint8_t)(major << 5 | 26), n >> 24, n >> 16, n >> 8, n };
    if (n < 24) { head[0] = (uint8_t)(major << 5 | n); put(w, head, 1); } else put(w, head, 5);
}

static void put_text(Writer *w, const char *text) {
    put_head(w, TEXT, (uint32_t)strlen(text));
    put(w, text, strlen(text));
}

static void put_null(Writer *w) { put(w, "\xf6", 1); }

static void put_number(Writer *w, double number) {
    uint8_t bytes[9] = { 0xfb };
    uint64_t bits;
    memcpy(&bits, &number, 8);
    for (int i = 0; i < 8; i++) bytes[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
    put(w, bytes, 9);
}

/* The head of the next item: its major type, and its number or length. Major type -1 is the end, or nonsense. */
static int head(Reader *r, uint64_t *n, int *info) {
    if (r->at >= r->end) return -1;
    int major = *r->at >> 5;
    *info = *r->at++ & 31;
    int width = *info < 24 ? 0 : *info < 28 ? 1 << (*info - 24) : -1;
    if (width < 0 || r->end - r->at < width) return -1;
    *n = *info < 24 ? (uint64_t)*info : 0;
    for (; width > 0; width--) *n = *n << 8 | *r->at++;
    return major;
}

static int get_list(Reader *r) {
    uint64_t n;
    int info, major;
    while ((major = head(r, &n, &info)) == TAG) {}
    return major == LIST && n < 1000 ? (int)n : -1;
}

static int get_text(Reader *r, char *text, size_t size) {
    uint64_t n;
    int info;
    if (head(r, &n, &info) != TEXT || n > (uint64_t)(r->end - r->at)) return 0;
    size_t len = n < size - 1 ? (size_t)n : size - 1;
    memcpy(text, r->at, len);
    text[len] = 0;
    r->at += n;
    return 1;
}

static double half(uint64_t n) {
    int exponent = n >> 10 & 31;
    double part = (double)(n & 1023);
    double value = exponent ? ldexp(part + 1024, exponent - 25) : ldexp(part, -24);
    return n >> 15 ? -value : value;
}

static double get_number(Reader *r) {
    uint64_t n;
    int info, major = head(r, &n, &info);
    if (major == UNSIGNED) return (double)n;
    if (major == NEGATIVE) return -1.0 - (double)n;
    if (major != OTHER) return NAN;
    if (info == 25) return half(n);
    if (info == 26) { float f; uint32_t bits = (uint32_t)n; memcpy(&f, &bits, 4); return f; }
    if (info == 27) { double d; memcpy(&d, &n, 8); return d; }
    return NAN;
}

/* --- The sensor. --- */

static ENetHost *host;
static ENetPeer *peer;
static char name[64];
static double celsius = 20.9, offset;
static int is_offered;
/* A calibration that is under way: its number, its steps, and how many are done. */
static struct { int is_on, steps, done; uint32_t id; } calibration;

/* Begins a message: a list of a word and so many fields. The tag says that CBOR follows. */
static Writer message(const char *word, int fields) {
    Writer w = { .len = 0 };
    put(&w, "\xd9\xd9\xf7", 3);
    put_head(&w, LIST, (uint32_t)fields + 1);
    put_text(&w, word);
    return w;
}

static void say(const Writer *w) {
    ENetPacket *packet = enet_packet_create(w->bytes, w->len, ENET_PACKET_FLAG_RELIABLE);
    enet_peer_send(peer, 0, packet);
}

static void say_hello(void) {
    Writer w = message("hello", 2);
    put_head(&w, UNSIGNED, 1);
    put_text(&w, name);
    say(&w);
}

static void offer(void) {
    Writer agent = message("offer", 5);
    put_head(&agent, UNSIGNED, 1);
    put_text(&agent, "Sensor");
    put_head(&agent, LIST, 3);
    put_text(&agent, "read");
    put_text(&agent, "scaled");
    put_text(&agent, "fail");
    put_head(&agent, LIST, 1);
    put_text(&agent, "celsius");
    put_head(&agent, LIST, 1);
    put_text(&agent, "measured");
    say(&agent);
    Writer operation = message("operation", 2);
    put_head(&operation, UNSIGNED, 2);
    put_text(&operation, "calibrate");
    say(&operation);
    is_offered = 1;
}

/* Tells a new value to everyone: those who watch the property, hear the event, or subscribe to the topic. */
static void measure(void) {
    static uint32_t request = 100;
    celsius += (rand() % 3 - 1) * 0.1;
    Writer property = message("property", 3);
    put_text(&property, "Sensor");
    put_text(&property, "celsius");
    put_number(&property, celsius + offset);
    say(&property);
    Writer event = message("emit", 3);
    put_text(&event, "Sensor");
    put_text(&event, "measured");
    put_number(&event, celsius + offset);
    say(&event);
    char topic[128];
    snprintf(topic, sizeof topic, "sensors/%s/celsius", name);
    Writer published = message("publish", 4);
    put_head(&published, UNSIGNED, request++);
    put_text(&published, topic);
    put_number(&published, celsius + offset);
    put(&published, "\xf5", 1); /* retained: who subscribes later gets the last value at once */
    say(&published);
}

static void answer(uint32_t id, double value) {
    Writer w = message("return", 2);
    put_head(&w, UNSIGNED, id);
    put_number(&w, value);
    say(&w);
}

static void throw(uint32_t id, const char *kind, const char *words) {
    Writer w = message("throw", 3);
    put_head(&w, UNSIGNED, id);
    put_text(&w, kind);
    put_text(&w, words);
    say(&w);
}

/* ["call", number, agent, method, arguments, caller] */
static void called(Reader *r, uint32_t id) {
    char agent[64], method[64];
    if (!get_text(r, agent, sizeof agent) || !get_text(r, method, sizeof method)) return;
    int count = get_list(r);
    if (!strcmp(method, "read")) answer(id, celsius + offset);
    else if (!strcmp(method, "scaled") && count == 1) answer(id, (celsius + offset) * get_number(r));
    else if (!strcmp(method, "scaled")) throw(id, "TypeError", "expected one number");
    else throw(id, "SensorError", "the sensor is broken");
}

/* ["begin", number, operation, value, caller] */
static void begin(Reader *r, uint32_t id) {
    char operation[64];
    if (!get_text(r, operation, sizeof operation)) return;
    double steps = get_number(r);
    if (calibration.is_on) { throw(id, "Busy", "it is being calibrated already"); return; }
    calibration.is_on = 1;
    calibration.id = id;
    calibration.done = 0;
    calibration.steps = steps >= 1 && steps <= 1000 ? (int)steps : 10;
}

static void calibrate(void) {
    if (!calibration.is_on) return;
    calibration.done++;
    if (calibration.done == calibration.steps) {
        offset += 0.5;
        calibration.is_on = 0;
        answer(calibration.id, offset);
        return;
    }
    Writer w = message("progress", 4);
    put_head(&w, UNSIGNED, calibration.id);
    put_number(&w, (double)calibration.done / calibration.steps);
    put_null(&w);
    put_text(&w, "heating");
    say(&w);
}

/* ["stop", number, "cancel" or "abort", reason] */
static void stop(Reader *r, uint32_t id) {
    char kind[16], reason[256];
    if (!get_text(r, kind, sizeof kind) || !get_text(r, reason, sizeof reason)) return;
    if (!calibration.is_on || calibration.id != id) return;
    calibration.is_on = 0;
    throw(id, kind, reason);
}

static void hear(const uint8_t *bytes, size_t len) {
    Reader r = { bytes, bytes + len };
    char word[32], text[256] = "", why[256] = "";
    if (get_list(&r) < 2 || !get_text(&r, word, sizeof word)) return;
    if (!strcmp(word, "welcome")) {
        get_text(&r, text, sizeof text);
        printf("%s is in the mesh\n", text);
        fflush(stdout);
        offer();
        return;
    }
    if (!strcmp(word, "refused")) {
        if (get_text(&r, text, sizeof text) && get_text(&r, why, sizeof why))
            fprintf(stderr, "sensor: %s: %s\n", text, why);
        exit(1);
    }
    uint32_t id = (uint32_t)get_number(&r);
    if (!strcmp(word, "call")) called(&r, id);
    else if (!strcmp(word, "begin")) begin(&r, id);
    else if (!strcmp(word, "stop")) stop(&r, id);
    else if (!strcmp(word, "fail") && get_text(&r, text, sizeof text) && get_text(&r, why, sizeof why))
        fprintf(stderr, "sensor: request %u: %s: %s\n", id, text, why);
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "usage: %s ADDRESS PORT NAME\n", argv[0]); return 2; }
    ENetAddress address;
    if (enet_initialize() || enet_address_set_host(&address, argv[1])) return 1;
    address.port = (uint16_t)atoi(argv[2]);
    snprintf(name, sizeof name, "%s", argv[3]);
    host = enet_host_create(NULL, 1, 1, 0, 0);
    peer = host ? enet_host_connect(host, &address, 1, 0) : NULL;
    if (!peer) return 1;
    for (;;) {
        ENetEvent event;
        uint32_t next = enet_time_get() + 100;
        while (enet_host_service(host, &event, 20) >= 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT) say_hello();
            if (event.type == ENET_EVENT_TYPE_DISCONNECT) { fprintf(stderr, "sensor: disconnected\n"); return 1; }
            if (event.type == ENET_EVENT_TYPE_RECEIVE) {
                hear(event.packet->data, event.packet->dataLength);
                enet_packet_destroy(event.packet);
            }
            if ((int32_t)(enet_time_get() - next) >= 0) break;
        }
        if (is_offered) { measure(); calibrate(); }
    }
}
