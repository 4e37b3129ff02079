// app/models/describe.c
// SPDX-License-Identifier: MIT
#include "app/models/describe.h"

#include "app/client.h"

json_t *model_describe(const char *path, struct err *err)
{
    json_t *body = json_object(), *result = NULL, *report = NULL;
    struct client client;

    json_object_set_new(body, "model", json_string(path));
    if (client_open(&client, false, err))
        result = client_call(&client, WIRE_DESCRIBE, "reading the model", body, err);
    else
        json_decref(body);
    client_close(&client);
    if (result == NULL)
        return NULL;
    report = json_incref(json_object_get(result, "description"));
    json_decref(result);
    if (!json_is_object(report)) {
        err_set(err, ERR_FORMAT, "%s: the engine did not describe it", path);
        json_decref(report);
        return NULL;
    }
    return report;
}
