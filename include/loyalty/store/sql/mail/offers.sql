-- What customers may pay points for today, the dearest first.
SELECT promotion.promotion AS name, promotion.title, promotion.required_points
FROM loyalty.promotion CROSS JOIN loyalty.program
WHERE promotion.is_offered
  AND timezone(program.timezone, clock_timestamp())::date
      BETWEEN coalesce(promotion.valid_from, '-infinity') AND coalesce(promotion.valid_to, 'infinity')
ORDER BY promotion.required_points DESC, promotion.promotion
