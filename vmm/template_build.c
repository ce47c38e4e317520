/* SPDX-License-Identifier: MIT */
#include "vmm/template_build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/ramfile.h"

#define SETTLE_TIMEOUT_NS (60 * KT_NSEC_PER_SEC)
#define SAVE_TIMEOUT_NS   (30 * KT_NSEC_PER_SEC)

/*
 * The making of a template, in this order: start a machine (a boot, or a restore of @base with
 * newer files and EXEC); HELO; SETL, with which the guest becomes small and quiet; SETD; save;
 * publish. After SETD the guest waits for its next frame, and every machine restored from the
 * template begins there.
 *
 * Everything is written to a stage, a directory beside the template's own, which is removed after
 * any failure: a template exists completely or not at all.
 */
struct builder {
	const struct kt_template_build *build;
	const char *stage; /* path of the directory that is filled; borrowed */
	struct kt_loop *loop;
	struct kt_link *link;
	struct kt_template template; /* to be recorded; its image is not used */
	int ram_fd;                  /* the file "ram" in the stage; owned */
	struct kt_err *reterr;
};

/* Ends the loop; @r becomes the result of kt_template_build(). */
static void fail(struct builder *builder, int r)
{
	kt_loop_stop(builder->loop, r);
}

static void on_late(void *data, const char *what, uint64_t limit_ns)
{
	struct builder *builder = data;

	(void)limit_ns;
	fail(builder, kt_err_set(builder->reterr, -ETIMEDOUT,
				 "timed out waiting for the guest to %s", what));
}

/* Where a boot may take long, zeroing memory and becoming quiet may, too. */
static uint64_t settle_limit_ns(const struct kt_template_build *build)
{
	return KT_MAX(SETTLE_TIMEOUT_NS, build->boot_timeout_ns) + build->update_timeout_ns;
}

/*
 * A booted guest receives its files now, and then settles. A guest restored from @base was
 * sent its files before; this HELO comes from the program that EXEC has started.
 */
static void on_hello(void *data, const struct kt_hello *hello)
{
	struct builder *builder = data;
	const struct kt_template_build *build = builder->build;
	int r = build->accept(build->data, hello, builder->reterr);

	builder->template.hello = *hello;
	if (r == 0 && !build->base)
		r = build->update(build->data, builder->link, builder->reterr);
	if (r == 0 && kt_link_send(builder->link, KT_MSG_SETTLE, NULL, 0) < 0)
		r = kt_err_oom(builder->reterr);
	if (r < 0)
		fail(builder, r);
	else
		kt_link_await(builder->link, "settle", settle_limit_ns(build));
}

/* Before RUN a guest has nothing to say but HELO, which the link handles, and SETD. */
static void on_frame(void *data, const struct kt_frame *frame)
{
	struct builder *builder = data;
	char type[5];

	if (frame->type == KT_MSG_SETTLED)
		kt_loop_stop(builder->loop, 0);
	else
		fail(builder,
		     kt_err_set(builder->reterr, -EPROTO, "the guest sent '%s' before any test",
				kt_frame_type_text(frame->type, type)));
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	const struct builder *builder = data;

	builder->build->console(builder->build->data, bytes, len);
}

static void on_broken(void *data, const char *why)
{
	struct builder *builder = data;

	fail(builder, kt_err_set(builder->reterr, -EBADMSG, "%s", why));
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct builder *builder = data;

	fail(builder,
	     kt_err_set(builder->reterr, exit->killed ? -ECHILD : -EIO, "%s before it could %s",
			exit->detail, kt_link_awaited(builder->link)));
}

static const struct kt_link_events link_events = {
	.hello = on_hello,
	.frame = on_frame,
	.console = on_console,
	.broken = on_broken,
	.exited = on_exited,
	.late = on_late,
};

/* Creates the file @name in the stage. */
static int open_stage(const struct builder *builder, const char *name, int *ret_fd,
		      struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("%s/%s", builder->stage, name);

	if (!path)
		return kt_err_oom(reterr);
	*ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "'%s': %m", path) : 0;
}

static int boot(struct builder *builder)
{
	struct kt_machine_config machine = builder->build->machine;

	machine.ram_fd = builder->ram_fd;
	kt_link_await(builder->link, "boot", builder->build->boot_timeout_ns);
	return kt_machine_start(kt_link_machine(builder->link), &machine, builder->reterr);
}

/*
 * The machine shares a copy of the base's RAM, so that the copy is complete when the machine is
 * saved.
 */
static int restore_base(struct builder *builder)
{
	const struct kt_template_build *build = builder->build;
	struct kt_template base = *build->base; /* borrows all but the RAM */
	struct kt_machine_config machine = build->machine;
	int r = kt_ramfile_copy(base.image.ram_fd, builder->ram_fd);

	if (r < 0)
		return kt_err_set(builder->reterr, r, "copying the RAM of a template to '%s': %m",
				  builder->stage);
	machine.ram_fd = base.image.ram_fd = builder->ram_fd;
	kt_link_await(builder->link, "run newer files",
		      KT_TEMPLATE_RESTORE_NS + build->update_timeout_ns);
	r = kt_template_restore(&base, builder->link, &machine,
				kt_now_ns() + KT_TEMPLATE_RESTORE_NS, builder->reterr);
	if (r == 0)
		r = build->update(build->data, builder->link, builder->reterr);
	if (r == 0 && kt_link_send(builder->link, KT_MSG_EXEC, NULL, 0) < 0)
		r = kt_err_oom(builder->reterr);
	return r;
}

/* The link's position is taken before the save: no frame goes either way after SETD. */
static int save(struct builder *builder)
{
	KT_CLOSE int state_fd = -1;
	int r = open_stage(builder, "state", &state_fd, builder->reterr);

	if (r < 0)
		return r;
	builder->template.position = kt_link_position(builder->link);
	return kt_machine_save(kt_link_machine(builder->link), state_fd,
			       kt_now_ns() + SAVE_TIMEOUT_NS, builder->reterr);
}

static int run(struct builder *builder)
{
	int r;

	r = kt_loop_new(&builder->loop);
	if (r < 0)
		return kt_err_set(builder->reterr, r, "event loop: %m");
	r = kt_link_new(builder->loop, builder->build->machine.vmm, &link_events, builder,
			&builder->link, builder->reterr);
	if (r == 0)
		r = open_stage(builder, "ram", &builder->ram_fd, builder->reterr);
	if (r == 0)
		r = builder->build->base ? restore_base(builder) : boot(builder);
	if (r == 0)
		r = kt_loop_run(builder->loop);
	if (r == 0)
		r = save(builder);
	builder->link = kt_link_free(builder->link);
	builder->loop = kt_loop_free(builder->loop);
	builder->ram_fd = kt_close(builder->ram_fd);
	return r;
}

int kt_template_build(const struct kt_template_build *build, struct kt_err *reterr)
{
	KT_FREE char *path = kt_template_path(&build->id), *stage = NULL;
	uint64_t began_ns = kt_now_ns();
	struct builder builder = {
		.build = build,
		.template = KT_TEMPLATE_NULL,
		.ram_fd = -1,
		.reterr = reterr,
	};
	int r;

	if (!path)
		return kt_err_oom(reterr);
	r = kt_cache_stage(path, &stage, reterr);
	if (r < 0)
		return r;
	builder.stage = stage;
	r = run(&builder);
	if (r == 0) {
		builder.template.files = build->files;
		builder.template.is_renewed = build->base != NULL;
		builder.template.build_ns = kt_now_ns() - began_ns;
		r = kt_template_publish(&build->id, stage, &builder.template, reterr);
	}
	if (r < 0)
		(void)kt_remove_all(stage);
	return r;
}
