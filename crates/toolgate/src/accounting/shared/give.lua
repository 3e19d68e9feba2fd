-- Gives back what calls took, and says what is in the database.
--
-- KEYS: hashes as in `take.lua`. ARGV: this replica; then for each key: by how much less is reserved or unwritten, how
-- many calls have ended, what the database has (empty: nothing is said), whether that is so although it may be less.
local NUMBERS = 4
local me = ARGV[1]

for at = 1, #KEYS do
  local key, base = KEYS[at], 1 + (at - 1) * NUMBERS
  local money, ended = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
  local spent, anew = tonumber(ARGV[base + 3]), ARGV[base + 4] == '1'
  local pending = tonumber(redis.call('HGET', key, 'p/' .. me))
  -- What this server has lost, or another replica has taken off, cannot be given back.
  if pending and money ~= 0 then
    -- Sums in another order differ in the last digits, and what is left of them is nobody's debt.
    if pending - money < 1e-9 then
      redis.call('HDEL', key, 'p/' .. me)
    else
      redis.call('HINCRBYFLOAT', key, 'p/' .. me, string.format('%.17g', -money))
    end
  end
  local running = tonumber(redis.call('HGET', key, 'n/' .. me))
  if running and ended > 0 then
    if running <= ended then
      redis.call('HDEL', key, 'n/' .. me)
    else
      redis.call('HINCRBY', key, 'n/' .. me, -ended)
    end
  end
  local known = tonumber(redis.call('HGET', key, 'd'))
  -- Batches of several replicas may be told of in another order than they were written in. Who has no `d` has no budget
  -- that anybody asked for, and gets it with the first call that does.
  if spent and known and (anew or spent > known) then redis.call('HSET', key, 'd', ARGV[base + 3]) end
end
return redis.status_reply('OK')
