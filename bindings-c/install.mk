# Installs liblavoro: make -C bindings-c install PREFIX=/usr/local [DESTDIR=…] [PROFILE=release]
#
# Two libraries, two headers, what pkg-config and CMake need to find them, and a man page. It builds
# nothing: run `make build` here first.

# From the root of the repository, whoever calls.
ROOT := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)
HERE := $(ROOT)/bindings-c

PROFILE ?= release
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),$(ROOT)/target)
BUILT ?= $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DESTDIR ?=

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' $(ROOT)/Cargo.toml)
# What programs ask for at run time. build.rs writes it into the library.
ABI := $(shell sed -n 's/^\#define LAVORO_ABI_VERSION \([0-9]*\)$$/\1/p' $(HERE)/include/lavoro.h)
SHARED := liblavoro.so.$(ABI).$(VERSION)
SONAME := liblavoro.so.$(ABI)
# What the C library wants beside liblavoro.a: rustc --print native-static-libs.
NATIVE := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

INSTALL ?= install
CMAKEDIR := $(LIBDIR)/cmake/lavoro
FILL := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' -e 's|@SHARED@|$(SHARED)|g' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@SONAME@|$(SONAME)|g' \
	-e 's|@ABI@|$(ABI)|g' -e 's|@NATIVE@|$(NATIVE)|g'

.PHONY: install uninstall

install: ## Install what was built: PREFIX, LIBDIR, INCLUDEDIR, MANDIR, DESTDIR, PROFILE
	@test "$$(uname -s)" = Linux || { echo "make install knows Linux only so far" >&2; exit 1; }
	@test -f $(BUILT)/liblavoro.so -a -f $(BUILT)/liblavoro.a || \
		{ echo "$(BUILT) holds no liblavoro: run make build PROFILE=$(PROFILE)" >&2; exit 1; }
	$(INSTALL) -d $(addprefix $(DESTDIR),$(LIBDIR)/pkgconfig $(CMAKEDIR) $(INCLUDEDIR) $(MANDIR)/man3)
	$(INSTALL) -m 755 $(BUILT)/liblavoro.so $(DESTDIR)$(LIBDIR)/$(SHARED)
	ln -sf $(SHARED) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/liblavoro.so
	$(INSTALL) -m 644 $(BUILT)/liblavoro.a $(DESTDIR)$(LIBDIR)/liblavoro.a
	$(INSTALL) -m 644 $(HERE)/include/lavoro.h $(HERE)/include/lavoro.hpp $(DESTDIR)$(INCLUDEDIR)
	$(FILL) $(HERE)/packaging/lavoro.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/lavoro.pc
	$(FILL) $(HERE)/packaging/lavoroConfig.cmake.in >$(DESTDIR)$(CMAKEDIR)/lavoroConfig.cmake
	$(FILL) $(HERE)/packaging/lavoroConfigVersion.cmake.in \
		>$(DESTDIR)$(CMAKEDIR)/lavoroConfigVersion.cmake
	$(FILL) $(HERE)/packaging/lavoro.3.in >$(DESTDIR)$(MANDIR)/man3/lavoro.3

uninstall: ## Remove what install installed, given the same variables
	rm -f $(addprefix $(DESTDIR),$(addprefix $(LIBDIR)/,$(SHARED) $(SONAME) liblavoro.so liblavoro.a \
		pkgconfig/lavoro.pc) $(INCLUDEDIR)/lavoro.h $(INCLUDEDIR)/lavoro.hpp $(MANDIR)/man3/lavoro.3)
	rm -rf $(DESTDIR)$(CMAKEDIR)
