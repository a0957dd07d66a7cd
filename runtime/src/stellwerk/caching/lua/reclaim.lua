-- Free the memory of entries that a tag has already made worthless.
-- KEYS: index of the tag. ARGV: how many at most, prefix of all accounts.
-- Answers whether there are more.
local taken = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
local keys = {}
for index = 1, #taken, 2 do
    local layer, key = string.match(taken[index], '^([^\n]*)\n(.*)$')
    keys[#keys + 1] = key
    if layer ~= '' then
        forget(ARGV[2] .. layer, key)
    end
end
for index = 1, #keys, 1000 do
    redis.call('UNLINK', unpack(keys, index, math.min(index + 999, #keys)))
end
return redis.call('EXISTS', KEYS[1])
