-- Delete stamps and entries, and tell every process.
-- KEYS: stream, counter, stamps, then entries, each followed by its lease.
-- ARGV: length of the stream, event ('' for none), number of stamps, then for each entry the prefix
-- of its account ('' for none) and the channel of those who wait.
-- Answers the id of the event in the stream.
--
-- Deletions come first: a Redis that is out of memory allows them, and what follows in the script.
local stamps = tonumber(ARGV[3])
for index = 3, 2 + stamps do
    redis.call('DEL', KEYS[index])
end
local argument = 4
for index = 3 + stamps, #KEYS, 2 do
    redis.call('UNLINK', KEYS[index], KEYS[index + 1])
    if ARGV[argument] ~= '' then
        forget(ARGV[argument], KEYS[index])
    end
    redis.call('PUBLISH', ARGV[argument + 1], '')
    argument = argument + 2
end
return publish_event(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
