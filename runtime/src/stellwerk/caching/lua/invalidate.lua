-- Delete stamps and entries, and tell every process.
-- KEYS: stream, counter, stamps, then entries, each followed by its lease.
-- ARGV: length of the stream, event ('' for none), number of stamps, then for each entry the prefix of its
-- account ('' for none) and the channel of those who wait.
-- Answers how many entries were deleted.
publish_event(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
local stamps = tonumber(ARGV[3])
for index = 3, 2 + stamps do
    redis.call('DEL', KEYS[index])
end
local deleted, argument = 0, 4
for index = 3 + stamps, #KEYS, 2 do
    deleted = deleted + redis.call('UNLINK', KEYS[index])
    redis.call('DEL', KEYS[index + 1])
    if ARGV[argument] ~= '' then
        forget(ARGV[argument], KEYS[index])
    end
    redis.call('PUBLISH', ARGV[argument + 1], '')
    argument = argument + 2
end
return deleted
