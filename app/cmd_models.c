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
#include "app/models/hub.h"
#include "app/models/meter.h"
#include "app/models/source_path.h"
#include "app/models/store.h"
#include "app/models/workspace.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/printable.h"
#include "ui/glyph.h"

#define NAME_COLUMNS 18

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

static void set_title(json_t *json, const struct catalogue_entry *entry)
{
    json_object_set_new(json, "title", json_sprintf("%s %s", entry->family, entry->kind));
    json_object_set_new(json, "kind", json_string(entry->kind));
}

static json_t *entry_json(const struct catalogue_entry *entry)
{
    json_t *json = json_pack("{s:s, s:b, s:s, s:b, s:s}", "name", entry->name,
                             "installed", 0, "licence", entry->licence, "vision",
                             entry->mmproj.source != NULL, "source", entry->model.source);
    bool measured;
    uint64_t bytes = catalogue_bytes(entry, &measured);

    set_title(json, entry);
    json_object_set_new(json, measured ? "size_bytes" : "about_bytes",
                        json_integer((json_int_t)bytes));
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
        set_title(json, entry);
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

// What an interrupted pull has so far; oriel pull goes on with it, rm removes it.
static void mark_begun(json_t *json, const char *name)
{
    char *path = models_path(WORKSPACE_PREFIX, name, NULL);

    json_object_set_new(json, "begun", json_true());
    if (path != NULL)
        json_object_set_new(json, "begun_bytes",
                            json_integer((json_int_t)tree_bytes(path)));
    free(path);
}

static void add_known(json_t *list, const struct model_names *names,
                      const struct model_names *begun)
{
    for (size_t i = 0; catalogue[i].name != NULL; i++) {
        json_t *json;

        if (has_name(names, catalogue[i].name))
            continue;
        json = entry_json(&catalogue[i]);
        if (has_name(begun, catalogue[i].name))
            mark_begun(json, catalogue[i].name);
        json_array_append_new(list, json);
    }
}

static void add_begun(json_t *list, const struct model_names *begun)
{
    for (size_t i = 0; i < begun->count; i++) {
        json_t *json;

        if (catalogue_find(begun->items[i]) != NULL)
            continue;
        json = json_pack("{s:s, s:b}", "name", begun->items[i], "installed", 0);
        mark_begun(json, begun->items[i]);
        json_array_append_new(list, json);
    }
}

// ---------------------------------------------------------------------------
// The list as a table of 80 columns

static const char *text_at(const json_t *model, const char *key)
{
    const char *text = json_string_value(json_object_get(model, key));

    return text != NULL ? text : "";
}

// As many of its columns as fit, and a space.
static void put_cell(const char *text, int width)
{
    struct str shown;
    size_t fit;

    str_init(&shown, 0);
    printable_append(&shown, text, strlen(text));
    fit = text_fit(shown.data, shown.len, width);
    printf("%.*s%*s ", (int)fit, shown.data, width - text_width(shown.data, fit), "");
    str_release(&shown);
}

static const char *size_cell(const json_t *model, char text[SIZE_TEXT])
{
    json_int_t about = json_integer_value(json_object_get(model, "about_bytes"));
    json_int_t bytes = json_integer_value(json_object_get(model, "size_bytes"));

    if (bytes > 0)
        return size_text((uint64_t)bytes, text);
    if (about >= 1000000000)
        snprintf(text, SIZE_TEXT, "~%.1f GB", (double)about / 1e9);
    else
        snprintf(text, SIZE_TEXT, about > 0 ? "~%d MB" : "", (int)(about / 1000000));
    return text;
}

static const char *state_cell(const json_t *model)
{
    if (json_is_true(json_object_get(model, "installed")))
        return "installed";
    return json_is_true(json_object_get(model, "begun")) ? "in part" : "";
}

// Where the first of its files comes from.
static const char *source_cell(const json_t *model)
{
    const json_t *file = json_array_get(json_object_get(model, "files"), 0);
    const char *source = text_at(file != NULL ? file : model, "source");

    if (source[0] == '\0')
        return "";
    if (source_is_path(source))
        return "file";
    if (strstr(source, "://") != NULL)
        return "URL";
    return strncmp(source, HUB_PREFIX, strlen(HUB_PREFIX)) == 0 ? "hub" : "PyPI";
}

static void print_row(const json_t *model)
{
    char size[SIZE_TEXT];
    const char *name = text_at(model, "name"), *kind = text_at(model, "kind");

    put_cell(name, strlen(name) > NAME_COLUMNS ? (int)strlen(name) : NAME_COLUMNS);
    printf("%8s  ", size_cell(model, size));
    put_cell(state_cell(model), 9);
    put_cell(source_cell(model), 4);
    put_cell(text_at(model, "licence"), 13);
    printf("%s%s\n", kind,
           !json_is_true(json_object_get(model, "vision")) ? ""
           : kind[0] != '\0'                               ? ", sees"
                                                           : "sees");
}

static void print_table(const json_t *models)
{
    const json_t *model;
    size_t i;

    printf("%-*s %8s  %-9s %-4s %-13s %s\n", NAME_COLUMNS, "NAME", "SIZE", "STATE",
           "FROM", "LICENCE", "KIND");
    json_array_foreach (models, i, model)
        print_row(model);
}

static bool list(const struct arguments *arguments, struct err *err)
{
    struct model_names names, begun;
    json_t *array;

    if (!models_list(&names, err))
        return false;
    if (!models_list_begun(&begun, err)) {
        model_names_release(&names);
        return false;
    }
    array = json_array();
    add_installed(array, &names);
    add_begun(array, &begun);
    add_known(array, &names, &begun);
    model_names_release(&names);
    model_names_release(&begun);
    if (arguments->json)
        return put_json(array);
    print_table(array);
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

static bool verify_file(const struct model_file *file, struct meter *meter,
                        struct err *err)
{
    char hex[SHA256_HEX];
    char *folder = models_directory(err);
    char *path = folder != NULL ? alloc_printf("%s/%s", folder, file->file) : NULL;
    uint64_t size;
    bool ok = path != NULL && file_sha256(path, meter, hex, &size, err);

    if (ok && (size != file->size_bytes || strcmp(hex, file->sha256) != 0))
        ok = err_set(err, ERR_MISMATCH,
                     "%s: the file is not what was installed (SHA-256 %s, %llu bytes); "
                     "oriel pull --replace gets it anew",
                     path, hex, (unsigned long long)size);
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

static bool say_verified(const char *name, struct err *err)
{
    if (!verify_model(name, err))
        return false;
    printf("%s: as it was installed\n", name);
    return true;
}

// All of them, whatever becomes of one: what went wrong before the last failure is a
// remark.
static bool for_each(const struct arguments *arguments,
                     bool (*work)(const char *name, struct err *err), struct err *err)
{
    bool ok = true;

    for (size_t i = 0; i < arguments->count; i++) {
        struct err failure = { 0 };

        if (work(arguments->operands[i], &failure))
            continue;
        if (!ok)
            remark("models", "%s", err->text);
        *err = failure;
        ok = false;
        if (failure.code == ERR_CANCELLED)
            break;
    }
    return ok;
}

static bool verify(const struct arguments *arguments, struct err *err)
{
    return for_each(arguments, say_verified, err);
}

// ---------------------------------------------------------------------------
// Remove

static bool remove_models(const struct arguments *arguments, struct err *err)
{
    return for_each(arguments, models_remove, err);
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
