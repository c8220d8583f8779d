</main>
<footer>&copy; <?php bloginfo( 'name' ); ?></footer>
<?php wp_footer(); ?>
</body>
</html>
