-- Free the memory of entries that a tag has already made worthless.
-- KEYS: index of the tag. ARGV: how many at most, prefix of all accounts.
-- Answers how many index entries were taken; fewer than asked for: all.
local taken = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
for index = 1, #taken, 2 do
    local layer, key = string.match(taken[index], '^([^\n]*)\n(.*)$')
    redis.call('UNLINK', key)
    forget(ARGV[2] .. layer, key)
end
return #taken / 2
