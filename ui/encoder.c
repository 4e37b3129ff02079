// ui/encoder.c
// SPDX-License-Identifier: MIT
#include "ui/encoder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

#define JOBS_MAX  64
#define BYTES_MAX ((size_t)16 << 20)
#define WAIT_NS   8000000L // half of the time in which a key is to be answered

struct source {
    struct source_params params;
    struct pixels pixels;
    struct sixel_source *sixel; // of the thread, made when it is first needed
    unsigned users;             // under the lock: the caller, and the thread
};

enum job_state { JOB_FREE, JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED };

struct job {
    enum job_state state;
    struct source *source;
    int first, rows;
    bool wanted;    // somebody looks at the place where it will be
    uint64_t frame; // that asked for it last
    struct str bytes;
};

struct encoder {
    pthread_t thread;
    bool running, ending;
    int event;
    pthread_mutex_t lock;
    pthread_cond_t queued, done;
    struct job jobs[JOBS_MAX];
    uint64_t frame;
    struct timespec wait_until; // in this frame
};

// ---------------------------------------------------------------------------
// The thread

static void release_source(struct source *source)
{
    if (--source->users > 0)
        return;
    format_sixel_release(&source->sixel);
    pixels_release(&source->pixels);
    free(source);
}

static bool encode_sixel(struct source *source, int top, int rows, struct str *out)
{
    const struct source_params *params = &source->params;
    int height =
        format_sixel_height(source->pixels.size.height, top, rows * params->cell.height);

    if (source->sixel == NULL)
        source->sixel =
            format_sixel_prepare(&source->pixels, params->background, params->registers);
    return source->sixel != NULL && height > 0 &&
           format_sixel(source->sixel, top, height, out);
}

static bool encode(struct source *source, int first, int rows, struct str *out)
{
    const struct source_params *params = &source->params;
    const struct pixels *pixels = &source->pixels;
    int top = first * params->cell.height, height = rows * params->cell.height;

    if (height > pixels->size.height - top)
        height = pixels->size.height - top;
    switch (params->kind) {
    case GRAPHICS_SIXEL:
        return encode_sixel(source, top, rows, out);
    case GRAPHICS_KITTY:
        return format_kitty(pixels, params->number, out);
    case GRAPHICS_ITERM:
        return format_iterm(pixels, top, height, params->fit.columns, rows, out);
    default:
        return format_blocks(pixels, top, height, params->background, params->colours,
                             out);
    }
}

static struct job *next_job(struct encoder *encoder)
{
    struct job *next = NULL;

    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &encoder->jobs[i];

        if (job->state == JOB_QUEUED && (next == NULL || job->wanted > next->wanted))
            next = job;
    }
    return next;
}

static void run(struct encoder *encoder, struct job *job)
{
    struct source *source = job->source;
    struct str bytes;
    bool ok;

    job->state = JOB_RUNNING;
    source->users++;
    pthread_mutex_unlock(&encoder->lock);
    str_init(&bytes, BYTES_MAX);
    ok = encode(source, job->first, job->rows, &bytes);
    pthread_mutex_lock(&encoder->lock);
    job->bytes = bytes;
    job->state = ok ? JOB_DONE : JOB_FAILED;
    release_source(source);
    pthread_cond_broadcast(&encoder->done);
    if (job->wanted)
        eventfd_write(encoder->event, 1);
}

static void *work(void *argument)
{
    struct encoder *encoder = argument;
    struct job *job;

    pthread_mutex_lock(&encoder->lock);
    while (!encoder->ending) {
        if ((job = next_job(encoder)) != NULL)
            run(encoder, job);
        else
            pthread_cond_wait(&encoder->queued, &encoder->lock);
    }
    pthread_mutex_unlock(&encoder->lock);
    return NULL;
}

// ---------------------------------------------------------------------------
// Life

struct encoder *encoder_create(void)
{
    struct encoder *encoder = alloc_zero(sizeof(*encoder));
    pthread_condattr_t clock;

    encoder->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&encoder->lock, NULL);
    pthread_cond_init(&encoder->queued, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&encoder->done, &clock);
    pthread_condattr_destroy(&clock);
    return encoder;
}

static void free_job(struct job *job)
{
    if (job->state == JOB_FREE)
        return;
    release_source(job->source);
    if (job->state == JOB_DONE || job->state == JOB_FAILED)
        str_release(&job->bytes);
    *job = (struct job){ 0 };
}

void encoder_destroy(struct encoder **encoder)
{
    struct encoder *e = *encoder;

    if (e == NULL)
        return;
    if (e->running) {
        pthread_mutex_lock(&e->lock);
        e->ending = true;
        pthread_cond_signal(&e->queued);
        pthread_mutex_unlock(&e->lock);
        pthread_join(e->thread, NULL);
    }
    for (size_t i = 0; i < JOBS_MAX; i++)
        free_job(&e->jobs[i]);
    pthread_cond_destroy(&e->queued);
    pthread_cond_destroy(&e->done);
    pthread_mutex_destroy(&e->lock);
    if (e->event >= 0)
        close(e->event);
    free(e);
    *encoder = NULL;
}

int encoder_fd(const struct encoder *encoder)
{
    return encoder->event;
}

void encoder_woken(struct encoder *encoder)
{
    eventfd_t count;

    eventfd_read(encoder->event, &count);
}

struct source *encoder_add(struct encoder *encoder, struct pixels *pixels,
                           const struct source_params *params)
{
    struct source *source = alloc_zero(sizeof(*source));

    *source = (struct source){ .params = *params, .pixels = *pixels, .users = 1 };
    *pixels = (struct pixels){ 0 };
    if (!encoder->running)
        encoder->running = pthread_create(&encoder->thread, NULL, work, encoder) == 0;
    return source;
}

void encoder_remove(struct encoder *encoder, struct source **source)
{
    if (*source == NULL)
        return;
    pthread_mutex_lock(&encoder->lock);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &encoder->jobs[i];

        if (job->source == *source && job->state != JOB_RUNNING)
            free_job(job);
    }
    release_source(*source);
    pthread_mutex_unlock(&encoder->lock);
    *source = NULL;
}

// ---------------------------------------------------------------------------
// Asking. All with the lock held.

static struct job *find_job(struct encoder *encoder, const struct source *source,
                            int first, int rows)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &encoder->jobs[i];

        if (job->state != JOB_FREE && job->source == source && job->first == first &&
            job->rows == rows)
            return job;
    }
    return NULL;
}

// The one that was asked for longest ago, but not in this frame.
static struct job *oldest_job(struct encoder *encoder)
{
    struct job *oldest = NULL;

    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &encoder->jobs[i];

        if (job->state != JOB_FREE && job->state != JOB_RUNNING &&
            job->frame < encoder->frame && (oldest == NULL || job->frame < oldest->frame))
            oldest = job;
    }
    return oldest;
}

static struct job *free_place(struct encoder *encoder)
{
    struct job *job;

    for (size_t i = 0; i < JOBS_MAX; i++)
        if (encoder->jobs[i].state == JOB_FREE)
            return &encoder->jobs[i];
    job = oldest_job(encoder);
    if (job != NULL)
        free_job(job);
    return job;
}

// The job for these rows: as it is, or queued now. NULL: everything is taken.
static struct job *ask(struct encoder *encoder, struct source *source, int first,
                       int rows, bool wanted)
{
    struct job *job = find_job(encoder, source, first, rows);

    if (job == NULL && (job = free_place(encoder)) != NULL) {
        *job = (struct job){
            .state = JOB_QUEUED, .source = source, .first = first, .rows = rows
        };
        source->users++;
        pthread_cond_signal(&encoder->queued);
    }
    if (job != NULL) {
        job->wanted = job->wanted || wanted;
        job->frame = encoder->frame;
    }
    return job;
}

static size_t bytes_kept(const struct encoder *encoder)
{
    size_t bytes = 0;

    for (size_t i = 0; i < JOBS_MAX; i++)
        if (encoder->jobs[i].state == JOB_DONE)
            bytes += encoder->jobs[i].bytes.cap;
    return bytes;
}

void encoder_begin_frame(struct encoder *encoder)
{
    struct job *job;

    pthread_mutex_lock(&encoder->lock);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        job = &encoder->jobs[i];
        if (job->state == JOB_QUEUED && job->frame < encoder->frame)
            free_job(job);
    }
    while (bytes_kept(encoder) > BYTES_MAX && (job = oldest_job(encoder)) != NULL)
        free_job(job);
    encoder->frame++;
    clock_gettime(CLOCK_MONOTONIC, &encoder->wait_until);
    encoder->wait_until.tv_nsec += WAIT_NS;
    if (encoder->wait_until.tv_nsec >= 1000000000L) {
        encoder->wait_until.tv_nsec -= 1000000000L;
        encoder->wait_until.tv_sec++;
    }
    pthread_mutex_unlock(&encoder->lock);
}

static void wait_for(struct encoder *encoder, const struct job *job)
{
    while (job->state == JOB_QUEUED || job->state == JOB_RUNNING)
        if (pthread_cond_timedwait(&encoder->done, &encoder->lock,
                                   &encoder->wait_until) != 0)
            return;
}

const struct str *encoder_get(struct encoder *encoder, struct source *source, int first,
                              int rows)
{
    struct job *job;
    bool done;

    if (!encoder->running)
        return NULL;
    pthread_mutex_lock(&encoder->lock);
    job = ask(encoder, source, first, rows, true);
    if (job != NULL)
        wait_for(encoder, job);
    done = job != NULL && job->state == JOB_DONE;
    pthread_mutex_unlock(&encoder->lock);
    return done ? &job->bytes : NULL;
}

void encoder_expect(struct encoder *encoder, struct source *source, int first, int rows)
{
    pthread_mutex_lock(&encoder->lock);
    ask(encoder, source, first, rows, false);
    pthread_mutex_unlock(&encoder->lock);
}
