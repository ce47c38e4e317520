/* SPDX-License-Identifier: MIT */
/* Kernels: found, told apart, refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/kernel/index.h"
#include "framework/kernel/kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/temp_cache.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(kernel);

Test(kernel, an_index_is_read_without_what_else_apt_says)
{
	struct kt_releases releases = KT_RELEASES_NULL;

	cr_assert(zero(int,
		       kt_kernel_index_parse("W: no\n\n"
					     "linux-image-6.12.9+deb13-cloud-amd64 - Linux 6.12\n"
					     "linux-image-6.12.9+deb13-amd64 - another flavour\n"
					     "linux-image-../x-cloud-amd64 - no release\n"
					     "WARNING: apt has no stable interface\n"
					     "linux-image-7.0.13+deb13-cloud-amd64 - Linux 7.0\n",
					     &releases)));
	cr_assert(eq(sz, releases.n, 2));
	cr_assert(eq(str, releases.at[0], "7.0.13+deb13-cloud-amd64"));
	cr_assert(eq(str, releases.at[1], "6.12.9+deb13-cloud-amd64"));
	kt_releases_deinit(&releases);
}

Test(kernel, versions)
{
	cr_assert(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0"));
	cr_assert(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.13"));
	cr_assert(
		kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.13+deb13-cloud-amd64"));
	cr_assert(not(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.1")));
	cr_assert(not(kt_kernel_version_matches("6.16.12", "6.1")));
}

Test(kernel, an_empty_cache_names_the_command)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_kernel kernel;
	char dir[64];

	use_temp_cache(dir);
	cr_assert(eq(int, kt_kernel_resolve(NULL, &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "ktests kernel fetch") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_kernel_resolve("6.16", &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "ktests kernel fetch 6.16") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_kernel_resolve("/tmp", &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "not a build tree") != NULL, "%s", err.text);
	(void)kt_remove_all(dir);
}

/* A missing need of all tests is reported before any machine starts. */
Test(kernel, one_that_cannot_run_tests_is_refused)
{
	static const struct {
		const char *lacks;
		const char *text;
	} cases[] = {
		{ "btf", "CONFIG_DEBUG_INFO_BTF" },
		{ "virtio_pci", "CONFIG_VIRTIO_PCI" },
		{ "virtio_console", "CONFIG_VIRTIO_CONSOLE" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char dir[] = "/tmp/ktest-kernel-XXXXXX";
		KT_FREE char *meta = NULL, *boot = NULL, *text = NULL;
		struct kt_err err = KT_ERR_NULL;
		struct kt_kernel kernel;

		cr_assert(ne(ptr, mkdtemp(dir), NULL));
		meta = kt_format("%s/meta.json", dir);
		boot = kt_format("%s/vmlinuz", dir);
		text = kt_format("{\"release\":\"1.2.3\",\"build_id\":\"\",\"broken_kfuncs\":[],"
				 "\"btf\":%s,\"virtio_pci\":%s,\"virtio_console\":%s}",
				 i == 0 ? "false" : "true", i == 1 ? "false" : "true",
				 i == 2 ? "false" : "true");
		cr_assert(zero(int, kt_file_publish(meta, text, strlen(text), NULL)));
		cr_assert(zero(int, kt_file_publish(boot, "", 0, NULL)));
		cr_assert(eq(int, kt_kernel_resolve(dir, &kernel, &err), -ENOTSUP));
		cr_assert(strstr(err.text, cases[i].text) != NULL, "%s", err.text);
		(void)kt_remove_all(dir);
	}
}

static void touch(const char *dir, const char *name)
{
	KT_FREE char *path = kt_format("%s/%s", dir, name);

	cr_assert(zero(int, kt_file_publish(path, "", 0, NULL)));
}

Test(kernel, a_configuration_is_found_where_builds_and_distributions_put_it)
{
	static const char *const cases[][2] = {
		{ "vmlinux", ".config" },
		{ "arch/x86/boot/bzImage", ".config" },
		{ "vmlinuz-1.2", "config-1.2" },
		{ "vmlinuz-3.4", NULL },
		{ "bzImage", NULL },
	};
	char dir[] = "/tmp/ktest-kernel-XXXXXX";
	KT_FREE char *boot = NULL;

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	boot = kt_format("%s/arch/x86/boot", dir);
	cr_assert(zero(int, kt_mkdir_all(boot, NULL)));
	touch(dir, ".config");
	touch(dir, "config-1.2");
	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *kernel = kt_format("%s/%s", dir, cases[i][0]);
		KT_FREE char *want = cases[i][1] ? kt_format("%s/%s", dir, cases[i][1]) : NULL;
		KT_FREE char *got = NULL;

		touch(dir, cases[i][0]);
		got = kt_kernel_find_config(kernel);
		cr_assert(eq(str, got ?: "", want ?: ""));
	}
	(void)kt_remove_all(dir);
}

Test(kernel, a_damaged_entry_says_what_to_do)
{
	KT_FREE char *kernels = NULL, *entry = NULL, *meta = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_kernel kernel;
	char dir[64];

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("kernels", &kernels, NULL)));
	entry = kt_format("%s/7.0.0", kernels);
	meta = kt_format("%s/meta.json", entry);
	cr_assert(zero(int, kt_mkdir_all(entry, NULL)));
	cr_assert(zero(int, kt_file_publish(meta, "{}", 2, NULL)));
	cr_assert(lt(int, kt_kernel_resolve("7.0", &kernel, &err), 0));
	cr_assert(strstr(err.text, "damaged") != NULL, "%s", err.text);
	(void)kt_remove_all(dir);
}
