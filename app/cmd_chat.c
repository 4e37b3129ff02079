// app/cmd_chat.c
// SPDX-License-Identifier: MIT
//
// oriel chat, and oriel alone: the screen.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/controller.h"
#include "app/output.h"
#include "base/utf8.h"

struct chat {
    struct controller_params params;
    uint64_t seed;
};

#define AT(member) offsetof(struct chat, params.member)
#define SETTINGS   offsetof(struct chat, params.settings)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 0, "mmproj", "FILE", OPTION_TEXT, AT(model.mmproj), 0, 0,
      "vision projector that belongs to the model" },
    { 's', "system", "TEXT", OPTION_TEXT, AT(system), 0, 0,
      "instructions for the model" },
    { 'n', "max-tokens", "MAX", OPTION_SETTING, SETTINGS, 0, 0,
      "at most this many tokens per reply; 0: no limit" },
    { 0, "temp", "T", OPTION_SETTING, SETTINGS, 0, 0,
      "temperature; 0: always the likeliest" },
    { 0, "seed", "N", OPTION_U64, offsetof(struct chat, seed), 0, 0,
      "repeat a random choice" },
    { 0, "device", "DEVICE", OPTION_TEXT, AT(model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, AT(model.context_tokens), 0, 0,
      "room for the conversation; 0: the model's own" },
    { 0, "theme", "NAME", OPTION_TEXT, AT(theme), 0, 0,
      "dark, light or plain; else the terminal is asked" },
    { 0, "plain", NULL, OPTION_FLAG, AT(plain), 0, 0,
      "line by line: screen readers, simple terminals" },
    { 0, "ephemeral", NULL, OPTION_FLAG, AT(ephemeral), 0, 0, "keep nothing on disk" },
    OPTIONS_END,
};

static bool check(const struct chat *chat, const struct operands *names, struct err *err)
{
    const char *theme = chat->params.theme, *system = chat->params.system;

    if (names->count > 1)
        return err_set(err, ERR_USAGE, "one SESSION, not %zu", names->count);
    if (theme != NULL && strcmp(theme, "dark") != 0 && strcmp(theme, "light") != 0 &&
        strcmp(theme, "plain") != 0)
        return err_set(err, ERR_USAGE, "--theme is dark, light or plain, not \"%s\"",
                       theme);
    return system == NULL || utf8_valid(system, strlen(system)) ||
           err_set(err, ERR_USAGE, "--system: not UTF-8 text");
}

static bool wants_plain(void)
{
    const char *terminal = getenv("TERM"), *accessible = getenv("ACCESSIBLE");

    return (terminal != NULL && strcmp(terminal, "dumb") == 0) ||
           (accessible != NULL && accessible[0] != '\0');
}

static int chat(struct chat *chat, const struct operands *names)
{
    struct err err = { 0 };
    int signal_number = 0;

    if (!check(chat, names, &err))
        return complain("chat", &err);
    chat->params.session = names->count > 0 ? names->items[0] : NULL;
    chat->params.seed_fixed = chat->seed != UINT64_MAX;
    if (wants_plain())
        chat->params.plain = true;
    if (chat->params.seed_fixed)
        chat->params.settings.seed = chat->seed;
    if (!controller_run(&chat->params, &signal_number, &err))
        return complain("chat", &err);
    if (signal_number != 0) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct chat values = { .seed = UINT64_MAX };
    struct operands names;
    int code;

    generation_settings_default(&values.params.settings);
    if (command_options(&command_chat, argc, argv, &values, &names, &code))
        code = chat(&values, &names);
    return code;
}

const struct command command_chat = {
    .name = "chat",
    .usage = "[-m MODEL] [-s SYSTEM] [--theme NAME] [--plain] [--ephemeral] [SESSION]",
    .summary = "Talk on the screen; oriel alone does the same",
    .notes =
        "SESSION is the title or id of a conversation, or \"last\". F1 on the screen "
        "shows\nthe keys and commands.",
    .options = options,
    .run = run,
};
