-- Store what was loaded under a lease, unless an invalidation or another write came between.
-- KEYS: entry, lease, stamps. ARGV: token, number of stamps, these, and the arguments of put.
-- Answers how many entries were evicted, -1: too large, -2: refused.
local token, count = ARGV[1], tonumber(ARGV[2])
if redis.call('GET', KEYS[2]) ~= token then
    return -2
end
local stamps = {}
for index = 1, count do
    stamps[index] = ARGV[2 + index]
    if redis.call('GET', KEYS[2 + index]) ~= stamps[index] then
        redis.call('DEL', KEYS[2])
        redis.call('PUBLISH', ARGV[3 + count + 7], '')
        return -2
    end
end
return put(stamps, 3 + count)
