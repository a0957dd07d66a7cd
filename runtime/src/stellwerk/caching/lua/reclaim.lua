-- Free the memory of entries that a tag has already made worthless.
-- KEYS: index of the tag. ARGV: how many at most, prefix of all accounts.
-- Answers whether there are more.
local last = ARGV[1] - 1
local members = redis.call('ZRANGE', KEYS[1], 0, last)
local keys = {}
for index, member in ipairs(members) do
    local border = string.find(member, '\n', 1, true)
    keys[index] = string.sub(member, border + 1)
    if border > 1 then
        forget(ARGV[2] .. string.sub(member, 1, border - 1), keys[index])
    end
end
for index = 1, #keys, 1000 do
    redis.call('UNLINK', unpack(keys, index, math.min(index + 999, #keys)))
end
if #keys == redis.call('ZCARD', KEYS[1]) then
    -- As a whole, in the background: taken out one by one they would cost as much as the entries.
    redis.call('UNLINK', KEYS[1])
    return 0
end
return redis.call('ZREMRANGEBYRANK', KEYS[1], 0, last)
