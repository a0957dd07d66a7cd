-- Write an entry whatever is there; loads under way lose their lease.
-- KEYS: entry, lease, stamps. ARGV: fresh stamp, stream, its counter, its length, event ('' for
-- none), and the arguments of put.
-- Answers how many entries were evicted, -1: too large.
local stamps = current_stamps(3, #KEYS, ARGV[1], ARGV[8])
publish_event(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return put(stamps, 6)
