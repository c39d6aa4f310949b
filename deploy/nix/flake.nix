# An image for mvm: `nix build` gives a directory with kernel, rootfs and manifest, and `mvm image import result` files it.
# mvm's own tests do not build it; they write the same three files without Nix.
{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.05";

  outputs = { self, nixpkgs }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      # Where this was built from. A tree with changes that are not committed has no revision, and makes no image.
      flake = "github:acme/images/${self.rev}#worker";

      # What Firecracker boots: an uncompressed ELF.
      kernel = pkgs.linux_6_1;

      # What runs in the guest: an init, and a place for the drives.
      root = pkgs.runCommand "root" { } ''
        mkdir -p $out/{bin,dev,proc,sys,run,tmp,data,config,secrets}
        cp ${pkgs.pkgsStatic.busybox}/bin/busybox $out/bin/busybox
        for name in sh mount sleep ip; do ln -s busybox $out/bin/$name; done
        install -m 0755 ${./init} $out/init
        mkdir $out/sbin && ln -s ../init $out/sbin/init
      '';
    in
    {
      packages.${system}.default = pkgs.runCommand "worker-image"
        { nativeBuildInputs = [ pkgs.e2fsprogs pkgs.cryptsetup pkgs.coreutils pkgs.gnused ]; }
        ''
          mkdir $out && cd $out
          install -m 0444 ${kernel.dev}/vmlinux kernel

          # The same bytes each time: no time, no random id, no journal; root owns all. A multiple of 4096 bytes.
          bytes=$(du -sB4096 --apparent-size ${root} | cut -f1)
          truncate -s $(( (bytes * 3 / 2 + 2048) * 4096 )) rootfs
          export E2FSPROGS_FAKE_TIME=1 SOURCE_DATE_EPOCH=1
          mke2fs -q -t ext4 -b 4096 -O ^has_journal,^metadata_csum -m 0 -I 256 \
            -U 00000000-0000-0000-0000-000000000001 \
            -E hash_seed=00000000-0000-0000-0000-000000000002,root_owner=0:0,lazy_itable_init=0 -d ${root} rootfs

          tree=$(mktemp)
          verity=$(veritysetup format --salt=- --hash=sha256 --data-block-size=4096 --hash-block-size=4096 rootfs "$tree" |
            sed -n 's/^Root hash:[[:space:]]*//p')
          sum() { sha256sum "$1" | cut -d' ' -f1; }
          {
            echo "mvm-manifest 1"
            echo "flake ${flake}"
            echo "lock digest=sha256:$(sum ${./flake.lock})"
            echo "kernel digest=sha256:$(sum kernel) bytes=$(stat -c %s kernel)"
            echo "rootfs root=sha256:$verity blocks=$(( $(stat -c %s rootfs) / 4096 ))"
          } > manifest
          echo "end sha256:$(sum manifest)" > end
          cat end >> manifest && rm end
          chmod 0444 rootfs manifest
        '';
    };
}
