-- The source now has what was written here: end loads that began before, and keep the entry only
-- where it is still that writing.
-- KEYS: entry, lease, stream, counter.
-- ARGV: write id, length of the stream, event, prefix of the account ('' for none), channel.
-- Answers 1: kept, 0: deleted.
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[5], '')
local value = redis.call('GET', KEYS[1])
if value and #value > 0 then
    local begin = 2 + 8 * string.byte(value, 1)
    if string.sub(value, begin, begin + 7) == ARGV[1] then
        return 1
    end
end
redis.call('UNLINK', KEYS[1])
if ARGV[4] ~= '' then
    forget(ARGV[4], KEYS[1])
end
publish_event(KEYS[3], KEYS[4], ARGV[2], ARGV[3])
return 0
