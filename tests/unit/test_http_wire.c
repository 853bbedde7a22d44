/*
 * What a server can do to an answer: cut it into pieces at every byte, end it early, lie about its length, send too
 * much, send nonsense. The same table for every transport: what comes out of it may differ only where it says so.
 */
#include "wire_stage.h"

/* Of those in which an answer is cut into pieces. */
static enum way last_way(void)
{
    return over_tls() ? SPLIT : BYTE_BY_BYTE;
}

/* ---- what is whole ---- */

struct good {
    const char *what;
    struct str answer;
    int status;
    struct str body;
    bool close; /* the server closes behind it */
    bool ends;  /* the connection is not used again */
    bool ours;  /* libcurl refuses it */
    bool stays; /* with libcurl, which believes in what is behind it */
};

#define GOOD(what, answer, status, body, ...)                                                                          \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, status, {body, sizeof body - 1}, ##__VA_ARGS__                              \
    }
#define UNTIL_CLOSE .close = true, .ends = true
#define HELLO_GZIP                                                                                                     \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00"

static const struct good goods[] = {
    GOOD("a length", HEAD "Content-Length: 5\r\n\r\nhello", 200, "hello"),
    GOOD("no body", HEAD "Content-Length: 0\r\n\r\n", 200, ""),
    GOOD("the same length twice", HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("the same length in a list", HEAD "Content-Length: 2, 2\r\n\r\nok", 200, "ok"),
    GOOD("a length with zeros in front", HEAD "Content-Length: 0000000000000000000000002\r\n\r\nok", 200, "ok"),
    GOOD("names in any case", HEAD "CONTENT-length: 2\r\n\r\nok", 200, "ok"),
    GOOD("blanks around a value", HEAD "Content-Length: \t 2 \t\r\n\r\nok", 200, "ok"),
    GOOD("bytes beyond ASCII", HEAD "X-Name: J\xc3\xbcrgen \xff\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
    GOOD("a folded line", HEAD "X: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),

    GOOD("no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("an empty reason", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("a long reason", "HTTP/1.1 200 As good as it gets: 100 % of \xe2\x82\xac\r\nContent-Length: 2\r\n\r\nok", 200,
         "ok"),
    GOOD("an unknown status", "HTTP/1.1 799 What\r\nContent-Length: 2\r\n\r\nok", 799, "ok"),
    GOOD("reset content", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, ""),
    GOOD("no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    GOOD("no content, with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "", .ends = true,
         .stays = true),
    GOOD("not modified, with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""),
    GOOD("not modified, as chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, ""),
    GOOD("interim answers",
         "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" HEAD "Content-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("an interim answer with a length", "HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\n" OK, 200, "ok"),
    GOOD("a hundred that nobody waits for", "HTTP/1.1 100 Continue\r\n\r\n" OK, 200, "ok"),

    GOOD("HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", .ends = true),
    GOOD("Connection: close", HEAD "Connection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", .ends = true),
    GOOD("both of them", HEAD "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok",
         .ends = true),
    GOOD("until it closes", HEAD "\r\nall of it", 200, "all of it", UNTIL_CLOSE),
    GOOD("until it closes, 1.0", "HTTP/1.0 404 No\r\n\r\n", 404, "", UNTIL_CLOSE),
    GOOD("until it closes, though it would stay", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nall", 200, "all",
         UNTIL_CLOSE),

    GOOD("chunks", CHUNKS "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", 200, "abc0123456789"),
    GOOD("no chunk", CHUNKS "0\r\n\r\n", 200, ""),
    GOOD("chunks, in capitals", HEAD "Transfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"),
    GOOD("extensions and trailers", CHUNKS "3;a=\"b\"\r\nabc\r\n0;z\r\nX-T: 1\r\nX-U: 2\r\n\r\n", 200, "abc"),
    GOOD("a trailer that lies", CHUNKS "3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n", 200, "abc"),
    GOOD("a size with zeros in front", CHUNKS "000000000000003\r\nabc\r\n0\r\n\r\n", 200, "abc"),
    GOOD("a size with many zeros in front", CHUNKS "000000000000000000000003\r\nabc\r\n0\r\n\r\n", 200, "abc",
         .ours = true),
    GOOD("a blank behind a size", CHUNKS "3 \r\nabc\r\n0\r\n\r\n", 200, "abc"),

    GOOD("gzip", HEAD "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n" HELLO_GZIP, 200, "hello"),
    GOOD("x-gzip", HEAD "Content-Encoding: X-GZIP\r\nContent-Length: 25\r\n\r\n" HELLO_GZIP, 200, "hello"),
    GOOD("gzip in chunks",
         HEAD "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n" HELLO_GZIP "\r\n0\r\n\r\n", 200,
         "hello"),
    GOOD("gzip until it closes", HEAD "Content-Encoding: gzip\r\n\r\n" HELLO_GZIP, 200, "hello", UNTIL_CLOSE),
    GOOD("gzip of nothing at all", HEAD "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 200, ""),
    GOOD("no coding", HEAD "Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("a coding of no body", "HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n", 304, ""),
    GOOD("deflate",
         HEAD "Content-Encoding: deflate\r\nContent-Length: 13\r\n\r\n"
              "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15",
         200, "hello"),
    GOOD("deflate without a frame",
         HEAD "Content-Encoding: deflate\r\nContent-Length: 7\r\n\r\n"
              "\xcb\x48\xcd\xc9\xc9\x07\x00",
         200, "hello", .ours = true),
    GOOD("br", HEAD "Content-Encoding: br\r\nContent-Length: 9\r\n\r\n\x0b\x02\x80\x68\x65\x6c\x6c\x6f\x03", 200,
         "hello"),
    GOOD("zstd",
         HEAD "Content-Encoding: zstd\r\nContent-Length: 18\r\n\r\n"
              "\x28\xb5\x2f\xfd\x04\x58\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88",
         200, "hello"),

    GOOD("a body behind no content", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, "", .ends = true,
         .ours = true),
};

/* Of rows of a table: all of them are told. */
static int wrong;

__attribute__((format(printf, 3, 4))) static void complain(const char *what, enum way way, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error("# %s%s: ", what, way == WHOLE ? "" : way == BYTE_BY_BYTE ? ", byte by byte" : ", split");
    vprint_error(format, args);
    print_error("\n");
    va_end(args);
    wrong++;
}

static void check_good(struct fixture *f, const struct good *good, enum way way)
{
    bool is_kept = !good->ends || (good->stays && over_curl());

    ask(f, "GET", good->answer, way, good->close);
    if (f->failure != HTTP_OK || f->response->status != good->status || !str_equal(f->response->body, good->body)) {
        complain(good->what, way, "%s, %d, \"" STR_FMT "\"", f->sentence, f->response ? f->response->status : 0,
                 STR_ARG(f->response ? f->response->body : STR_NONE));
    }
    int accepted = server.accepted;
    ask(f, "GET", STR(OK), WHOLE, false);
    if (f->failure != HTTP_OK || !str_is(f->response->body, "ok") || server.accepted - accepted != !is_kept) {
        complain(good->what, way, "behind it %s, and %d connections more", f->sentence, server.accepted - accepted);
    }
}

static void test_whole_answers(void **state)
{
    wrong = 0;
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        for (enum way way = WHOLE; way <= last_way() && !(goods[i].ours && over_curl()); way++) {
            check_good(*state, &goods[i], way);
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_head_has_no_body(void **state)
{
    struct fixture *f = *state;

    for (enum way way = WHOLE; way <= last_way(); way++) {
        ask(f, "HEAD", STR(HEAD "Content-Length: 50\r\n\r\n"), way, false);
        assert_ok(f, 200, "");
        ask(f, "HEAD", STR(HEAD "Transfer-Encoding: chunked\r\n\r\n"), way, false);
        assert_ok(f, 200, "");
    }
    assert_int_equal(server.accepted, 1);
}

static void test_header_block(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET", STR("HTTP/1.1 100 Continue\r\nX: no\r\n\r\nHTTP/1.1 200 OK\nA: 1\n 2\r\nB:\r\nContent-Length: 0\n\n"),
        BYTE_BY_BYTE, false);
    assert_ok(f, 200, "");
    assert_str(f->response->header_block, "HTTP/1.1 200 OK\r\nA: 1 2\r\nB:\r\nContent-Length: 0\r\n");
    assert_int_equal(header_count(f->response), 3);
}

/* ---- what is not ---- */

struct bad {
    const char *what;
    struct str answer;
    enum http_failure failure;
    int code;     /* libcurl's for it */
    bool stays;   /* the server does not close */
    bool lenient; /* libcurl takes it */
    int theirs;   /* libcurl's code, where it differs */
};

#define BAD(what, answer, failure, code, ...)                                                                          \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, failure, code, ##__VA_ARGS__                                                \
    }
#define LENIENT .lenient = true

static const struct bad bads[] = {
    BAD("nothing", "", HTTP_CLOSED, 52),
    BAD("half a status line", "HTTP/1.1 2", HTTP_CLOSED, 18, .theirs = 52),
    BAD("half a head", HEAD "Content-Len", HTTP_CLOSED, 18),
    BAD("a head without its empty line", HEAD "Content-Length: 0\r\n", HTTP_CLOSED, 18),
    BAD("only an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", HTTP_CLOSED, 18, .theirs = 52),
    BAD("half a body", HEAD "Content-Length: 50\r\n\r\nhalf", HTTP_CLOSED, 18),
    BAD("half a chunk", CHUNKS "8\r\nhalf", HTTP_CLOSED, 18),
    BAD("no last chunk", CHUNKS "4\r\nhalf\r\n", HTTP_CLOSED, 18),
    BAD("no end of the last chunk", CHUNKS "4\r\nhalf\r\n0\r\n", HTTP_CLOSED, 18),
    BAD("half a trailer", CHUNKS "4\r\nhalf\r\n0\r\nX: y", HTTP_CLOSED, 18),
    BAD("a length and silence", HEAD "Content-Length: 50\r\n\r\nhalf", HTTP_TIMEOUT, 28, .stays = true),
    BAD("a chunk and silence", CHUNKS "8\r\nhalf", HTTP_TIMEOUT, 28, .stays = true),
    BAD("a head without end", HEAD "X: y\r\n", HTTP_TIMEOUT, 28, .stays = true),
    BAD("an interim answer and silence", "HTTP/1.1 100 Continue\r\n\r\n", HTTP_TIMEOUT, 28, .stays = true),
    BAD("silence", "", HTTP_TIMEOUT, 28, .stays = true),

    BAD("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", HTTP_PROTOCOL, 1),
    BAD("HTTP/0.9", "<html>hello</html>", HTTP_PROTOCOL, 1),
    BAD("an empty line in front", "\r\n" OK, HTTP_PROTOCOL, 1),
    BAD("a version too high", "HTTP/7.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1),
    BAD("a version in between", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1),
    BAD("HTTP/2 that nobody asked for", "HTTP/2 200\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1, LENIENT),
    BAD("a version in small letters", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1, LENIENT),
    BAD("no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1),
    BAD("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1),
    BAD("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1, LENIENT),
    BAD("a status below 100", "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1),
    BAD("a switch of protocols", "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),

    BAD("a negative length", HEAD "Content-Length: -5\r\n\r\nhello", HTTP_PROTOCOL, 8),
    BAD("a length with a sign", HEAD "Content-Length: +5\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("an empty length", HEAD "Content-Length:\r\n\r\nhello", HTTP_PROTOCOL, 8),
    BAD("an empty length in a list", HEAD "Content-Length: , 5\r\n\r\nhello", HTTP_PROTOCOL, 8),
    BAD("a folded length", HEAD "Content-Length:\r\n 5\r\n\r\nhello", HTTP_PROTOCOL, 8),
    BAD("folded chunks", HEAD "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a length that is no number", HEAD "Content-Length: 5x\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a length in hexadecimal", HEAD "Content-Length: 0x5\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a huge length", HEAD "Content-Length: 99999999999999999999\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("two lengths", HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("two lengths in a list", HEAD "Content-Length: 5, 6\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a length and chunks", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL,
        8, LENIENT),
    BAD("chunks and a length", HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL,
        8, LENIENT),
    BAD("an unknown transfer coding", HEAD "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),
    BAD("an empty transfer coding", HEAD "Content-Length: 5\r\nTransfer-Encoding:\r\n\r\nhello", HTTP_PROTOCOL, 8,
        LENIENT),
    BAD("chunked twice", HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a blank before a colon", HEAD "Content-Length : 5\r\n\r\nhello", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a name with a zero byte", HEAD "Content-Length\0: 0\r\n\r\n", HTTP_PROTOCOL, 8),
    BAD("a zero byte in a value", HEAD "X: \0\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 8),
    BAD("a zero byte in the status line", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 8),
    BAD("a CR in a line", HEAD "X: a\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a line without a colon", HEAD "nonsense\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 8),
    BAD("a line without a name", HEAD ": x\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 8, LENIENT),
    BAD("a head that begins folded", HEAD " X: y\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL, 1, LENIENT),

    BAD("a chunk without size", CHUNKS "zz\r\nabc\r\n", HTTP_PROTOCOL, 56),
    BAD("a chunk with an empty size", CHUNKS "\r\nabc\r\n", HTTP_PROTOCOL, 56),
    BAD("a chunk with a negative size", CHUNKS "-1\r\nabc\r\n", HTTP_PROTOCOL, 56),
    BAD("a chunk with a huge size", CHUNKS "fffffffffffffffff\r\nabc\r\n", HTTP_PROTOCOL, 56),
    BAD("a chunk that is longer", CHUNKS "3\r\nabcd\r\n0\r\n\r\n", HTTP_PROTOCOL, 56),
    BAD("a chunk with half an end", CHUNKS "3\r\nabc\rX0\r\n\r\n", HTTP_PROTOCOL, 56),
    BAD("chunks whose lines end with LF", CHUNKS "3\nabc\n0\n\n", HTTP_PROTOCOL, 56, LENIENT),
    BAD("a size with 0x", CHUNKS "0x3\r\nabc\r\n0\r\n\r\n", HTTP_PROTOCOL, 56, LENIENT),
    BAD("a trailer without a colon", CHUNKS "3\r\nabc\r\n0\r\nnonsense\r\n\r\n", HTTP_PROTOCOL, 56, LENIENT),

    BAD("gzip that is none", HEAD "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL, 61),
    BAD("deflate that is none", HEAD "Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
        HTTP_PROTOCOL, 61),
    BAD("br that is none", HEAD "Content-Encoding: br\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff", HTTP_PROTOCOL, 61),
    BAD("zstd that is none", HEAD "Content-Encoding: zstd\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL, 61),
    BAD("an unknown content coding", HEAD "Content-Encoding: x-cat\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL,
        61),
    BAD("a sixfold coding",
        HEAD "Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL, 8,
        .theirs = 61),
    BAD("half of a gzip",
        HEAD "Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n"
             "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9",
        HTTP_PROTOCOL, 61, LENIENT),
    BAD("a gzip with a wrong sum",
        HEAD "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
             "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x37\x05\x00\x00\x00",
        HTTP_PROTOCOL, 61, LENIENT),
    BAD("half of a br", HEAD "Content-Encoding: br\r\nContent-Length: 5\r\n\r\n\x0b\x02\x80\x68\x65", HTTP_PROTOCOL, 61,
        LENIENT),
    BAD("half of a zstd", HEAD "Content-Encoding: zstd\r\nContent-Length: 8\r\n\r\n\x28\xb5\x2f\xfd\x04\x58\x29\x00",
        HTTP_PROTOCOL, 61, LENIENT),
    BAD("something behind a br",
        HEAD "Content-Encoding: br\r\nContent-Length: 10\r\n\r\n\x0b\x02\x80\x68\x65\x6c\x6c\x6f\x03X", HTTP_PROTOCOL,
        61),
};

static void check_bad(struct fixture *f, const struct bad *bad, enum way way)
{
    int code = over_curl() && bad->theirs ? bad->theirs : bad->code;

    ask(f, "POST", bad->answer, way, !bad->stays);
    if (f->failure != bad->failure || f->curl_code != code || !f->sentence[0]) {
        complain(bad->what, way, "failure %d, not %d, code %d, not %d: %s", f->failure, bad->failure, f->curl_code,
                 code, f->sentence);
    }
    ask(f, "POST", STR(OK), WHOLE, false);
    if (f->failure != HTTP_OK || !str_is(f->response->body, "ok")) {
        complain(bad->what, way, "behind it %s", f->sentence);
    }
}

static void test_broken_answers(void **state)
{
    wrong = 0;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        for (enum way way = WHOLE; way <= last_way() && !(bads[i].lenient && over_curl()); way++) {
            check_bad(*state, &bads[i], way);
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- much of it ---- */

static void repeat(struct buf *out, int times, const char *text)
{
    for (int i = 0; i < times; i++) {
        buf_text(out, text);
    }
}

static void test_large_heads(void **state)
{
    struct fixture *f = *state;
    struct buf answer;

    buf_init(&answer, 0);
    buf_text(&answer, HEAD "X-Long: ");
    repeat(&answer, 60000, "x");
    buf_text(&answer, "\r\n");
    repeat(&answer, 5000, "X-Line: as good as any\r\n");
    buf_text(&answer, "Content-Length: 2\r\n\r\nok");
    ask(f, "GET", buf_view(&answer), WHOLE, false);
    assert_ok(f, 200, "ok");
    assert_int_equal(header_count(f->response), 5002);
    assert_int_equal(http_response_header(f->response, "X-Long").n, 60000);
    buf_done(&answer);
}

static void test_endless_head(void **state)
{
    struct fixture *f = *state;
    struct buf answer;

    buf_init(&answer, 0);
    buf_text(&answer, HEAD);
    repeat(&answer, 40000, "X-Line: as good as any\r\n");
    ask(f, "GET", buf_view(&answer), WHOLE, true);
    assert_failed(f, HTTP_PROTOCOL, 8, "the answer breaks the protocol: its head is larger than 256 KiB");
    buf_done(&answer);
}

static void test_many_interim_answers(void **state)
{
    struct fixture *f = *state;
    struct buf answer;

    buf_init(&answer, 0);
    repeat(&answer, 5000, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    buf_text(&answer, OK);
    ask(f, "GET", buf_view(&answer), WHOLE, false);
    assert_ok(f, 200, "ok");
    assert_int_equal(header_count(f->response), 1);
    buf_done(&answer);
}

static void test_endless_trailers(void **state)
{
    struct fixture *f = *state;
    struct buf answer;

    buf_init(&answer, 0);
    buf_text(&answer, CHUNKS "0\r\n");
    repeat(&answer, 40000, "X-Line: as good as any\r\n");
    ask(f, "GET", buf_view(&answer), WHOLE, true);
    assert_true(f->failure == HTTP_PROTOCOL || (over_curl() && f->failure == HTTP_CLOSED));
    buf_done(&answer);
}

static void test_large_bodies(void **state)
{
    struct fixture *f = *state;
    struct buf answer;
    size_t sizes[] = {4000, 16384, 16385, 70000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        buf_init(&answer, 0);
        buf_printf(&answer, HEAD "Content-Length: %zu\r\n\r\n", sizes[i]);
        for (size_t n = 0; n < sizes[i]; n++) {
            buf_char(&answer, (char)('a' + n % 26));
        }
        ask(f, "GET", buf_view(&answer), WHOLE, false);
        assert_int_equal(f->failure, HTTP_OK);
        assert_int_equal(f->response->body.n, sizes[i]);
        assert_memory_equal(f->response->body.p, answer.data + answer.size - sizes[i], sizes[i]);
        assert_int_equal(f->response->download_bytes, sizes[i]);
        buf_done(&answer);
    }
    assert_int_equal(server.accepted, 1);
}

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_answers),        TEST(test_head_has_no_body), TEST(test_header_block),
        TEST(test_broken_answers),       TEST(test_large_heads),      TEST(test_endless_head),
        TEST(test_many_interim_answers), TEST(test_endless_trailers), TEST(test_large_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
