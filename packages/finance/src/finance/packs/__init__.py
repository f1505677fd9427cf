"""Tax packs: a jurisdiction's codes and rates as data, one TOML file each."""
