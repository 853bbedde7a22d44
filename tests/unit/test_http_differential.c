/*
 * Our parser and libcurl's on the same bytes: the corpus of the fuzz target, and what becomes of it when bytes and
 * lines are changed at random (the same every time; MITE_TEST_ROUNDS of them). Where both take an answer they agree on
 * status, headers and body. Where only one does, it is libcurl, and we say that the answer breaks the protocol; but for
 * what is listed below.
 */
#include "http_fixture.h"
#include "wire_server.h"

#include <dirent.h>

#define ROUNDS 1500

struct outcome {
    enum http_failure failure;
    struct http_response *response; /* counted; NULL when it failed */
    char sentence[512];
};

static struct fixture f;
static struct http_client *clients[2]; /* ours, libcurl's */
static struct http_session *sessions[2];
static struct buf corpus[256];
static size_t corpus_size;
static uint64_t random_state;
static int taken, refused, stricter;

/* ---- one answer ---- */

static void ask(int who, struct str answer, bool head, struct outcome *out)
{
    struct http_request request = get(&f, "/");

    request.method = head ? STR("HEAD") : STR("GET");
    request.follow_redirects = false;
    server.answer = answer;
    server.way = WHOLE;
    server.close = true;
    f.session = sessions[who];
    run(&f, &request);
    out->failure = f.failure;
    out->response = f.failure == HTTP_OK ? http_response_ref(f.response) : NULL;
    snprintf(out->sentence, sizeof out->sentence, "%s", f.sentence);
}

static bool has(struct str answer, const char *text)
{
    return memmem(answer.p, answer.n, text, strlen(text)) != NULL;
}

/* What libcurl refuses or reads in its own way, and we have a reason to take or refuse. */
static bool is_excused(struct str answer)
{
    return has(answer, "deflate")             /* without a frame: many servers send that */
           || has(answer, "00000000000")      /* so many zeros in front of a chunk's size */
           || has(answer, "\r\r")             /* an empty line to libcurl; to us the beginning of another one */
           || answer.p[answer.n - 1] == '\r'; /* for libcurl the end, without its LF */
}

static bool is_same(const struct http_response *a, const struct http_response *b)
{
    bool same = a->status == b->status && str_equal(a->body, b->body) && header_count(a) == header_count(b);
    const char *at_a = NULL, *at_b = NULL;
    struct http_header x, y;

    while (same && http_response_next_header(a, &at_a, &x) && http_response_next_header(b, &at_b, &y)) {
        same = str_equal(x.name, y.name) && str_equal(x.value, y.value);
    }
    return same;
}

static void show(const char *what, struct str answer, const struct outcome *ours, const struct outcome *theirs)
{
    struct buf text;

    buf_init(&text, 0);
    for (size_t i = 0; i < answer.n; i++) {
        unsigned char c = (unsigned char)answer.p[i];
        buf_printf(&text, c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
    }
    print_error("# %s\n#   %s\n#   ours:   %d %s\n#   theirs: %d %s\n", what, text.data, ours->failure, ours->sentence,
                theirs->failure, theirs->sentence);
    buf_done(&text);
}

/* Whether the two of them agree as far as they should. */
static bool compare(struct str answer, bool head)
{
    struct outcome ours, theirs;
    const char *what = NULL;

    ask(0, answer, head, &ours);
    ask(1, answer, head, &theirs);
    if (ours.response && theirs.response) {
        what = is_same(ours.response, theirs.response) ? NULL : "both take it, for different things";
        taken++;
    } else if (ours.response) {
        what = "only we take it";
    } else if (theirs.response) {
        what = ours.failure == HTTP_PROTOCOL ? NULL : "only libcurl takes it";
        stricter++;
    } else {
        refused++;
    }
    bool agreed = !what || is_excused(answer);
    if (!agreed) {
        show(what, answer, &ours, &theirs);
    }
    http_response_unref(ours.response);
    http_response_unref(theirs.response);
    return agreed;
}

/* ---- many answers ---- */

static unsigned pick(size_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((random_state >> 33) % below);
}

static void mutate(struct buf *text)
{
    static const char *const pieces[] = {
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        ",",
        ";",
        "0",
        "1",
        "a",
        "chunked",
        "\r\n\r\n",
        "HTTP/1.1 ",
        "gzip",
        "Connection: close\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: y\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0",
        "204",
        "304",
        "Content-Encoding: identity\r\n",
    };
    size_t at = pick(text->size + 1), count = 1 + pick(8);
    struct buf out;

    count = count < text->size - at ? count : text->size - at;
    buf_init(&out, 0);
    buf_append(&out, text->data, at);
    switch (pick(4)) {
    case 0: /* some bytes less */
        break;
    case 1: /* one byte is another */
        buf_char(&out, (char)pick(256));
        count = at < text->size;
        break;
    case 2: /* some bytes twice */
        buf_append(&out, text->data + at, count);
        count = 0;
        break;
    default: /* something that means something */
        buf_text(&out, pieces[pick(sizeof pieces / sizeof *pieces)]);
        count = 0;
        break;
    }
    buf_append(&out, text->data + at + count, text->size - at - count);
    buf_done(text);
    *text = out;
}

static void test_corpus(void **state)
{
    int wrong = 0;

    for (size_t i = 0; i < corpus_size; i++) {
        const struct buf *file = &corpus[i];
        wrong += file->size > 1 && !compare((struct str){file->data + 1, file->size - 1}, file->data[0] & 0x80);
    }
    assert_int_equal(wrong, 0);
    assert_true(taken > 5 && refused > 2);
}

static void test_changed_at_random(void **state)
{
    const char *text = getenv("MITE_TEST_ROUNDS"), *seed = getenv("MITE_TEST_SEED");
    int rounds = text ? atoi(text) : ROUNDS, wrong = 0;

    random_state = seed ? (uint64_t)atoll(seed) : 1;
    for (int i = 0; i < rounds && wrong < 10; i++) {
        struct buf *file = &corpus[pick(corpus_size)], answer;
        buf_init(&answer, 0);
        buf_append(&answer, file->data + 1, file->size - 1);
        for (unsigned changes = 1 + pick(3); changes > 0; changes--) {
            mutate(&answer);
        }
        wrong += !compare(buf_view(&answer), pick(16) == 0);
        buf_done(&answer);
    }
    print_message("# %d taken by both, %d refused by both, %d by us\n", taken, refused, stricter);
    assert_int_equal(wrong, 0);
}

/* ---- all of it ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_corpus(void)
{
    const char *folder = getenv("MITE_TEST_CORPUS");
    struct dirent **entries;
    int count = folder ? scandir(folder, &entries, NULL, by_name) : -1;

    for (int i = 0; i < count; i++) {
        char path[4096], bytes[65536];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        FILE *file = entries[i]->d_name[0] == '.' ? NULL : fopen(path, "rb");
        size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
        if (n > 1 && corpus_size < sizeof corpus / sizeof *corpus) {
            buf_init(&corpus[corpus_size], 0);
            buf_append(&corpus[corpus_size++], bytes, n);
        }
        if (file) {
            fclose(file);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return corpus_size > 0 ? 0 : -1;
}

static int group_setup(void **state)
{
    struct http_client_options options = {.transport = HTTP_TRANSPORT_NATIVE};

    fixture_open(&f);
    server_start(f.loop, f.base_url);
    http_session_free(f.session);
    http_client_free(f.client);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_client_new(f.loop, &options, &clients[i], NULL), 0);
        sessions[i] = http_session_new(clients[i]);
        options.transport = HTTP_TRANSPORT_CURL;
    }
    f.client = NULL;
    return read_corpus();
}

static int group_teardown(void **state)
{
    for (int i = 0; i < 2; i++) {
        http_session_free(sessions[i]);
        http_client_free(clients[i]);
    }
    f.session = NULL;
    server_stop();
    fixture_close(&f);
    while (corpus_size > 0) {
        buf_done(&corpus[--corpus_size]);
    }
    return 0;
}

int main(void)
{
    forget_proxies();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_changed_at_random),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
