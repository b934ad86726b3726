valkey-server --bind 10.0.0.5 --appendonly yes --maxmemory 2gb --maxmemory-policy noeviction --requirepass "$PASSWORD"
