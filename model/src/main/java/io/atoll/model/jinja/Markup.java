package io.atoll.model.jinja;

/// A string marked as HTML by the filters `safe` and `escape`. It is a string in every respect, but `+` and `replace` escape
/// what they add to it, as they do in Jinja2 even where automatic escaping is off.
record Markup(String text) {
    static String escape(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&#34;");
                case '\'' -> out.append("&#39;");
                default -> out.append(c);
            }
        }
        return out.toString();
    }
}
