-- A part: the profiles whose events lie in one partition. What is asked of everybody can be asked of one part after the other.

CREATE FUNCTION loyalty.in_part(profile_id bigint, part integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN part IS NULL OR satisfies_hash_partition('loyalty.event'::regclass, 16, part, profile_id);
COMMENT ON FUNCTION loyalty.in_part IS
    'Whether the events of the profile lie in the partition of that number; those of every profile do where none is named.';
