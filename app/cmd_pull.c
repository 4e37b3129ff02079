// app/cmd_pull.c
// SPDX-License-Identifier: MIT
//
// oriel pull: gets a model and installs it.
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/interrupt.h"
#include "app/models/catalogue.h"
#include "app/models/meter.h"
#include "app/models/pull.h"
#include "app/output.h"

struct arguments {
    struct pull_params params;
    bool json;
};

#define AT(member) offsetof(struct arguments, member)

static const struct option_spec options[] = {
    { 0, "name", "NAME", OPTION_TEXT, AT(params.name), 0, 0, "install it as NAME" },
    { 0, "mmproj", "SOURCE", OPTION_TEXT, AT(params.mmproj), 0, 0,
      "the vision projector that belongs to it" },
    { 0, "sha256", "HEX", OPTION_TEXT, AT(params.sha256), 0, 0,
      "the SHA-256 that it must have" },
    { 0, "replace", NULL, OPTION_FLAG, AT(params.replace), 0, 0,
      "get it anew, in place of what is installed" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print its record as JSON" },
    { 'q', "quiet", NULL, OPTION_FLAG, AT(params.quiet), 0, 0, "no progress" },
    OPTIONS_END,
};

static bool report(const struct arguments *arguments, const struct model_record *record,
                   bool was_there, struct err *err)
{
    char size[SIZE_TEXT];
    json_t *json;

    if (arguments->json) {
        json = model_record_json(record, err);
        return json != NULL && put_json(json);
    }
    if (arguments->params.quiet)
        return true;
    if (was_there)
        remark("pull", "%s is installed already; oriel models verify %s checks it",
               record->name, record->name);
    else
        remark("pull", "%s is installed, %s", record->name,
               size_text(model_record_bytes(record), size));
    return true;
}

static int run(int argc, char **argv)
{
    struct arguments arguments = { .json = false };
    struct operands operands;
    struct model_record record;
    struct err err = { 0 };
    enum pull_outcome outcome;
    bool ok;
    int code;

    if (!command_options(&command_pull, argc, argv, &arguments, &operands, &code))
        return code;
    if (operands.count > 1) {
        err_set(&err, ERR_USAGE, "one model at a time, please: \"%s\" is too much",
                operands.items[1]);
        return complain("pull", &err);
    }
    arguments.params.what =
        operands.count == 1 ? operands.items[0] : catalogue_default()->name;
    interrupt_catch();
    outcome = pull(&arguments.params, &record, &err);
    if (outcome == PULL_FAILED)
        return complain("pull", &err);
    ok = report(&arguments, &record, outcome == PULL_WAS_THERE, &err);
    model_record_release(&record);
    return ok ? EXIT_OK : complain("pull", &err);
}

const struct command command_pull = {
    .name = "pull",
    .usage = "[OPTION]... [NAME | hf:OWNER/REPO[:FILE] | URL | FILE]",
    .summary = "Get a model and install it",
    .notes =
        "Without a name it gets a small one to begin with. What was interrupted goes\n"
        "on where it stopped.",
    .options = options,
    .run = run,
};
