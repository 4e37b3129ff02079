// app/cmd_models.c
// SPDX-License-Identifier: MIT
//
// oriel models: what is installed and what can be, what a model is, whether its files are
// still as they were.
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/interrupt.h"
#include "app/models/catalogue.h"
#include "app/models/checksum.h"
#include "app/models/describe.h"
#include "app/models/meter.h"
#include "app/models/store.h"
#include "app/output.h"
#include "base/alloc.h"

struct arguments {
    bool json;
    char **operands; // behind the action
    size_t count;
};

static const struct option_spec options[] = {
    { 0, "json", NULL, OPTION_FLAG, offsetof(struct arguments, json), 0, 0,
      "print JSON: one array, or one object" },
    OPTIONS_END,
};

// ---------------------------------------------------------------------------
// List

static json_t *entry_json(const struct catalogue_entry *entry)
{
    json_t *json =
        json_pack("{s:s, s:b, s:s, s:s, s:b, s:s}", "name", entry->name, "installed", 0,
                  "title", entry->title, "licence", entry->licence, "vision",
                  entry->mmproj.source != NULL, "source", entry->model.source);

    if (entry->model.size_bytes != 0)
        json_object_set_new(json, "size_bytes",
                            json_integer((json_int_t)entry->model.size_bytes));
    return json;
}

static json_t *installed_json(const struct model_record *record, struct err *err)
{
    const struct catalogue_entry *entry = catalogue_find(record->name);
    json_t *json = model_record_json(record, err);

    if (json == NULL)
        return NULL;
    json_object_set_new(json, "installed", json_true());
    json_object_set_new(json, "vision", json_boolean(record->mmproj.file != NULL));
    if (entry != NULL && strcmp(record->source, entry->name) == 0)
        json_object_set_new(json, "title", json_string(entry->title));
    return json;
}

// A record that cannot be read is a remark, so that the others are listed.
static void add_installed(json_t *list, const struct model_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct err err = { 0 };
        struct model_record record;
        json_t *json = NULL;

        if (model_record_read(names->items[i], &record, &err)) {
            json = installed_json(&record, &err);
            model_record_release(&record);
        }
        if (json != NULL)
            json_array_append_new(list, json);
        else
            remark("models", "%s", err.text);
    }
}

static bool has_name(const struct model_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static void print_row(const json_t *model)
{
    json_int_t bytes = json_integer_value(json_object_get(model, "size_bytes"));
    const char *title = json_string_value(json_object_get(model, "title"));
    char size[SIZE_TEXT] = "";

    put_column(model, "name", 20);
    if (bytes > 0)
        size_text((uint64_t)bytes, size);
    printf("%-9s %-10s ", size,
           json_is_true(json_object_get(model, "installed")) ? "installed" : "");
    put_column(model, "licence", 0);
    if (title != NULL) {
        fputs(json_is_string(json_object_get(model, "licence")) ? ": " : "", stdout);
        put_printable(stdout, title, strlen(title));
    }
    fputs(json_is_true(json_object_get(model, "vision")) ? ", sees pictures\n" : "\n",
          stdout);
}

static bool list(const struct arguments *arguments, struct err *err)
{
    struct model_names names;
    json_t *array, *model;
    size_t i;

    if (!models_list(&names, err))
        return false;
    array = json_array();
    add_installed(array, &names);
    for (i = 0; catalogue[i].name != NULL; i++)
        if (!has_name(&names, catalogue[i].name))
            json_array_append_new(array, entry_json(&catalogue[i]));
    model_names_release(&names);
    if (arguments->json)
        return put_json(array);
    json_array_foreach (array, i, model)
        print_row(model);
    json_decref(array);
    return true;
}

// ---------------------------------------------------------------------------
// Show

static bool show(const struct arguments *arguments, struct err *err)
{
    const char *name = arguments->operands[0];
    const struct catalogue_entry *entry = catalogue_find(name);
    struct err missing = { 0 };
    struct model_record record;
    json_t *json = NULL;

    if (model_record_read(name, &record, &missing)) {
        json = installed_json(&record, err);
        model_record_release(&record);
    } else if (missing.code == ERR_NOT_FOUND && entry != NULL) {
        json = entry_json(entry);
    } else {
        *err = missing;
    }
    return json != NULL && put_json(json);
}

// ---------------------------------------------------------------------------
// Verify

static bool verify_file(const struct model_file *file, struct meter *meter, struct err *err)
{
    char hex[SHA256_HEX];
    char *folder = models_directory(err);
    char *path = folder != NULL ? alloc_printf("%s/%s", folder, file->file) : NULL;
    uint64_t size;
    bool ok = path != NULL && file_sha256(path, meter, hex, &size, err);

    if (ok && (size != file->size_bytes || strcmp(hex, file->sha256) != 0))
        ok = err_set(err, ERR_MISMATCH,
                     "%s: the file is not what was installed (SHA-256 %s, %llu bytes)", path,
                     hex, (unsigned long long)size);
    free(path);
    free(folder);
    return ok;
}

// The files are what was installed, and the engine can read the model.
static bool verify_model(const char *name, struct err *err)
{
    struct model_files files;
    struct model_record record;
    struct meter meter;
    json_t *report = NULL;
    bool ok = true;

    if (!model_record_read(name, &record, err))
        return false;
    meter_init(&meter, false);
    for (size_t i = 0; ok && i < record.count; i++)
        ok = verify_file(&record.files[i], &meter, err);
    if (ok && record.mmproj.file != NULL)
        ok = verify_file(&record.mmproj, &meter, err);
    meter_erase(&meter);
    model_record_release(&record);
    if (ok && models_resolve(name, &files, err))
        report = model_describe(files.path, err);
    json_decref(report);
    return report != NULL;
}

static bool verify(const struct arguments *arguments, struct err *err)
{
    for (size_t i = 0; i < arguments->count; i++) {
        if (!verify_model(arguments->operands[i], err))
            return false;
        printf("%s: as it was installed\n", arguments->operands[i]);
    }
    return true;
}

// ---------------------------------------------------------------------------
// Remove

static bool remove_models(const struct arguments *arguments, struct err *err)
{
    for (size_t i = 0; i < arguments->count; i++)
        if (!models_remove(arguments->operands[i], err))
            return false;
    return true;
}

// ---------------------------------------------------------------------------
// Which of them

static const struct action {
    const char *name, *operands;
    size_t least, most;
    bool (*run)(const struct arguments *arguments, struct err *err);
} actions[] = {
    { "list", "", 0, 0, list },
    { "show", "NAME", 1, 1, show },
    { "verify", "NAME...", 1, SIZE_MAX, verify },
    { "rm", "NAME...", 1, SIZE_MAX, remove_models },
};

static const struct action *find_action(const struct operands *words, struct err *err)
{
    if (words->count == 0)
        return &actions[0];
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        const struct action *action = &actions[i];
        size_t count = words->count - 1;

        if (strcmp(words->items[0], action->name) != 0)
            continue;
        if (count >= action->least && count <= action->most)
            return action;
        err_set(err, ERR_USAGE, "the usage is: oriel models %s%s%s", action->name,
                action->operands[0] != '\0' ? " " : "", action->operands);
        return NULL;
    }
    err_set(err, ERR_USAGE, "there is no \"models %s\"; oriel help models lists them",
            words->items[0]);
    return NULL;
}

static int run(int argc, char **argv)
{
    struct arguments arguments = { .json = false };
    const struct action *action;
    struct operands words;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_models, argc, argv, &arguments, &words, &code))
        return code;
    action = find_action(&words, &err);
    if (action == NULL)
        return complain("models", &err);
    arguments.operands = words.items + 1;
    arguments.count = words.count > 0 ? words.count - 1 : 0;
    return action->run(&arguments, &err) ? EXIT_OK : complain("models", &err);
}

const struct command command_models = {
    .name = "models",
    .usage = "[list | show NAME | verify NAME... | rm NAME...] [--json]",
    .summary = "List, describe, check and remove models",
    .notes = "Actions:\n"
             "  list                     installed ones, and those that oriel knows\n"
             "  show NAME                all about one\n"
             "  verify NAME...           whether its files are what was installed\n"
             "  rm NAME...               remove it",
    .options = options,
    .run = run,
};
