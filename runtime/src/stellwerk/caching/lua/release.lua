-- Give a lease up, so that others load. KEYS: lease. ARGV: token, channel of those who wait.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', ARGV[2], '')
end
return 0
