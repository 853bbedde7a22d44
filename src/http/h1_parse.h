/*
 * Parser for HTTP/1 responses: head and chunked framing. Our own because what Debian has does not serve: http-parser is
 * retired and takes shapes that RFC 9112 now refuses, llhttp is not packaged; and because a parser that finds the head
 * where the socket put it, in one pass, costs a tenth of a callback for every piece.
 *
 * It works on bytes that stay where they are: the caller keeps the whole head in one buffer, calls again with the same
 * beginning and more behind it, and gets views by offset. Nothing is allocated, nothing is copied. It is strict where
 * two readers of the same bytes could disagree about where a response ends (request smuggling): Content-Length that is
 * no plain number or conflicts, Content-Length beside Transfer-Encoding, a coding other than chunked, blanks before a
 * colon, a bare CR, a zero byte, a chunk that does not end with CRLF are refused. It is lenient where that is
 * harmless: header lines may end with a bare LF, be folded, or hold bytes beyond ASCII; the reason may be missing.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define H1_HEAD_MAX      ((size_t)256 << 10) /* of one response, all that comes before its body */
#define H1_HEAD_MAX_TEXT "its head is larger than 256 KiB"
#define H1_CODINGS_MAX   4

enum h1_framing { H1_NO_BODY, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };

enum h1_coding { H1_GZIP, H1_DEFLATE, H1_BROTLI, H1_ZSTD, H1_UNKNOWN_CODING };

/* Outcome of a call; everything below zero is the end of the connection. */
enum h1_parsed { H1_MORE, H1_DONE, H1_PIECE, H1_NOT_HTTP = -1, H1_MALFORMED = -2, H1_HEAD_TOO_LARGE = -3 };

struct h1_head {
    /* What came out, to be read when H1_DONE. */
    int status;
    size_t size;             /* of the head in bytes, the empty line included */
    size_t block_size;       /* without the empty line */
    enum h1_framing framing; /* of the body that follows */
    uint64_t length;         /* H1_LENGTH */
    bool keep_alive;
    bool sets_cookies;
    bool tidy;                       /* every line ends with CRLF, none is folded: the block can be taken as it is */
    uint8_t codings[H1_CODINGS_MAX]; /* of the content, in the order they were applied */
    unsigned coding_count;
    const char *why; /* static: what is wrong with it, when the outcome says so */

    /* Where the parser is. */
    size_t line, scanned;
    bool has_status, old, has_length, chunked, close, stays;
};

/* Begins anew: at the start of a connection's response, and behind an interim (1xx) one. */
void h1_head_init(struct h1_head *head);

/* `data` begins with the status line; `head_request` when HEAD was asked. H1_MORE, H1_DONE or what is wrong. */
enum h1_parsed h1_head_parse(struct h1_head *head, const char *data, size_t size, bool head_request);

/* Appends the header block as other parts expect it: a CRLF behind each line, folded lines as one. 0 or MITE_ENOMEM. */
struct buf;
int h1_head_tidy(const char *data, size_t block_size, struct buf *out);

/* The framing of a chunked body, its trailers included. All zero at the beginning. */
struct h1_chunks {
    uint8_t state;
    uint8_t digits;
    bool folds;        /* a trailer has come that can go on in the next line */
    uint32_t overhead; /* bytes of extensions and trailers */
    uint64_t left;     /* of the chunk under way */
    const char *why;
};

/* Takes bytes from *p on. H1_PIECE: *piece is payload, call again; H1_DONE: the body has ended, *p is behind it;
 * H1_MORE: all is taken; H1_MALFORMED. */
enum h1_parsed h1_chunks_next(struct h1_chunks *chunks, const char **p, const char *end, struct str *piece);
