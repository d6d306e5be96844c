# The commands of this project. Each first checks what it needs and says in one sentence what is missing.
# Built things and proof parameters live in $XDG_CACHE_HOME/sealpool (else ~/.cache/sealpool), never here.

CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/sealpool
export CARGO_TARGET_DIR := $(CACHE)/cargo-target
CARGO = $$(command -v cargo || echo "$$HOME/.cargo/bin/cargo")
NODE = scripts/node.sh
READY := node_modules/.installed
# Its answer is one JSON line, which matters only when it is an error; progress goes to stderr.
GENERATE = answer=$$(bin/sealpool-prover params generate $(1)) || { echo "$$answer"; exit 1; }

.PHONY: help demo test soak sim sim-mutants threats prover agent runner-image params check packages clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     seal one 2 KiB sector for real, from nothing to Finished (FILE=path puts a file into it;"
	@echo "              FLOW=all then snaps the file into it, loses and rebuilds its files, and unseals it;"
	@echo "              TOPOLOGY=three seals on three runners, each in a network namespace of its own; needs root;"
	@echo "              STORE=s3, with either topology, sends files through an S3 server (SeaweedFS) by signed URLs)"
	@echo "make test     run all tests, Rust and TypeScript; the last line sums them up"
	@echo "make soak     run what takes too long for make test"
	@echo "make sim      play the simulator's faults (SEEDS=1..2000); make sim-mutants plants bugs and shows that it finds them"
	@echo "make threats  the table of threats by runners: each control taken out of a copy, and the test that fails then"
	@echo "make prover   build sealpool-prover and link it to bin/"
	@echo "make agent    put the agent into one file, bin/sealpool-agent.mjs, which the control plane hands out to runners"
	@echo "make runner-image  build the runner image (podman) and write it to bin/runner-image.tar"
	@echo "make params   make the dev network's proof parameters (once, a few minutes)"
	@echo "make check    types, lint, format, import rules, generated files; under a minute"
	@echo "make clean    remove what was installed or built in this folder; caches in $(CACHE) stay"

demo: $(READY) prover
	@$(if $(filter s3,$(STORE)),scripts/python-packages.sh,true)
	@echo "== proof parameters of the dev network (made once, a few minutes)"
	@$(call GENERATE,$(if $(filter all,$(FLOW)),,--set porep))
	@node=$$($(NODE)) && exec "$$node" scripts/demo.ts $(if $(FLOW),"--flow=$(FLOW)") $(if $(FILE),"--file=$(FILE)") $(if $(TOPOLOGY),"--topology=$(TOPOLOGY)") $(if $(STORE),"--store=$(STORE)")

test: $(READY) prover packages params
	@node=$$($(NODE)) && exec "$$node" scripts/test.ts

soak: $(READY) prover packages params
	@scripts/go-programs.sh
	@node=$$($(NODE)) && exec "$$node" scripts/test.ts --soak

sim: $(READY)
	@npm run --silent sim -- --seeds $(or $(SEEDS),1..2000)

sim-mutants: $(READY)
	@node=$$($(NODE)) && exec "$$node" test/sim/mutants/run.ts

threats: $(READY)
	@node=$$($(NODE)) && exec "$$node" test/threats/run.ts $(if $(ONLY),--only "$(ONLY)")

check: $(READY)
	@npm run --silent check

prover:
	@scripts/require.sh cargo cc
	@echo "== sealpool-prover (the first build takes about 4 min on 2 cores)"
	@$(CARGO) build --release --locked --manifest-path runner-image/Cargo.toml
	@ln -sfn "$(CARGO_TARGET_DIR)/release/sealpool-prover" bin/sealpool-prover

agent: $(READY)
	@node=$$($(NODE)) && exec "$$node" scripts/bundle-agent.ts

runner-image: agent prover
	@runner-image/build-runner-image.sh "$$($(NODE))" localhost/sealpool-runner:latest bin/runner-image.tar
	@echo "bin/runner-image.tar written"

params: prover
	@echo "== proof parameters of the dev network (made once, in 1 to 2 min on 2 cores)"
	@$(call GENERATE,)

packages:
	@scripts/debian-packages.sh
	@scripts/python-packages.sh

$(READY): package.json package-lock.json .npmrc test/older-node/package-lock.json
	@scripts/require.sh node
	@echo "== npm packages"
	@npm ci --no-audit --no-fund --loglevel=error
	@npm ci --no-audit --no-fund --loglevel=error --prefix test/older-node
	@scripts/link-node.sh
	@touch $@

clean:
	rm -rf node_modules test/older-node/node_modules coverage .wrangler bin/sealpool-prover bin/sealpool-agent.mjs bin/runner-image.tar
	@echo "caches stay in $(CACHE); remove that folder to build everything again"
