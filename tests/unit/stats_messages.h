/* Messages as a run would send them, for the tests of what counts and shows them. */
#pragma once

#include "bus/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct message_origin shop_origin = {
    .test = {"shop:scenario", 13}, .runner_id = 1, .journey = {"shop:buy", 8}, .context_id = 7, .scenario_id = 1};

static inline struct message make_message(enum message_kind kind, const char *transaction)
{
    return (struct message){.kind = kind,
                            .type = message_type_of(kind),
                            .time = 1700000000.5,
                            .origin = &shop_origin,
                            .transaction = str_of(transaction),
                            .transaction_id = transaction ? 1 : 0};
}

static inline void send_request(struct sink *sink, const char *transaction, const char *method, int status,
                                double total_s)
{
    struct message message = make_message(MESSAGE_HTTP_METRICS, transaction);
    message.http = (struct message_http){.start_time = 1700000000,
                                         .effective_url = STR("http://127.0.0.1/"),
                                         .response_code = status,
                                         .total_time = total_s,
                                         .wait_time = 0.000012,
                                         .primary_ip = STR("127.0.0.1"),
                                         .method = str_of(method),
                                         .download_size = 100};
    sink_message(sink, &message);
}

static inline void send_txn(struct sink *sink, const char *transaction, bool had_error, uint64_t duration_ns)
{
    struct message message = make_message(MESSAGE_TXN, transaction);
    message.txn = (struct message_txn){1700000000, 1700000001, duration_ns, had_error};
    sink_message(sink, &message);
}

static inline void send_failure(struct sink *sink, enum message_kind kind, const char *ex_type, const char *location,
                                const char *text)
{
    struct message message = make_message(kind, "__root__ :: pay");
    message.failure =
        (struct message_failure){.message = str_of(text), .ex_type = str_of(ex_type), .location = str_of(location)};
    sink_message(sink, &message);
}
