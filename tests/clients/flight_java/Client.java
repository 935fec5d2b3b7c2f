import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/**
 * Talks to a server through the Apache Flight SQL JDBC driver, as DBeaver and Tableau do.
 *
 * Usage: java -cp CLASSES:flight-sql-jdbc-driver.jar Client HOST:PORT COMMAND [ARGUMENT...]
 *
 *     query SQL [TYPE=VALUE...]   prepared, with parameters: columns, then rows
 *     plain SQL                   the same by a Statement
 *     bind SQL VALUE              prepared with one text parameter
 *     metadata                    the calls of DatabaseMetaData that tools make when they connect
 *     columns SCHEMA TABLE        getColumns
 *     keys SCHEMA TABLE           getPrimaryKeys, getImportedKeys, getExportedKeys, getCrossReference
 *     tables                      getTables
 *     count SQL                   how many rows, read one by one
 *     repeat SQL N                prepares once, executes N times
 *     cancel SQL                  Statement.cancel from another thread, once a line comes in
 *
 * Prints a line for each fact: a topic, a tab, and JSON. FLIGHT_USER and FLIGHT_PASSWORD log in; FLIGHT_OPTIONS is added to
 * the URL.
 */
public final class Client {
    private Client() {}

    public static void main(String[] arguments) {
        int code = 0;
        try {
            Connection connection = DriverManager.getConnection(url(arguments[0]), login());
            run(connection, arguments[1], Arrays.copyOfRange(arguments, 2, arguments.length));
            close(connection);
        } catch (SQLException error) {
            say("error", causes(error));
            say("state", error.getSQLState());
            code = 3;
        } catch (RuntimeException error) { // the driver's metadata calls let Flight's own errors through
            say("error", causes(error));
            code = 3;
        } catch (Throwable error) {
            error.printStackTrace();
            code = 4;
        }
        System.exit(code); // the driver's threads would keep the program alive
    }

    static String causes(Throwable error) {
        StringJoiner told = new StringJoiner(": ");
        for (Throwable cause = error; cause != null; cause = cause.getCause()) told.add(String.valueOf(cause.getMessage()));
        return told.toString();
    }

    static String url(String address) {
        String options = System.getenv().getOrDefault("FLIGHT_OPTIONS", "");
        return "jdbc:arrow-flight-sql://" + address + "/?useEncryption=false" + options;
    }

    static Properties login() {
        Properties properties = new Properties();
        if (System.getenv("FLIGHT_USER") != null) {
            properties.put("user", System.getenv("FLIGHT_USER"));
            properties.put("password", System.getenv("FLIGHT_PASSWORD"));
        }
        return properties;
    }

    static void run(Connection connection, String command, String[] rest) throws Exception {
        DatabaseMetaData data = connection.getMetaData();
        switch (command) {
            case "query" -> query(connection, rest);
            case "plain" -> plain(connection, rest[0]);
            case "bind" -> query(connection, new String[] {rest[0], "text=" + rest[1]});
            case "metadata" -> metadata(data, connection);
            case "columns" -> print(data.getColumns(null, rest[0], rest[1], "%"));
            case "keys" -> keys(data, rest[0], rest[1]);
            case "tables" -> tables(data);
            case "count" -> count(connection, rest[0]);
            case "repeat" -> repeat(connection, rest[0], Integer.parseInt(rest[1]));
            case "cancel" -> cancel(connection, rest[0]);
            default -> throw new IllegalArgumentException(command);
        }
    }

    /** Closes the connection; the driver closes its channel twice when a session is open, and complains. */
    static void close(Connection connection) {
        try {
            connection.close();
        } catch (Exception error) {
            say("close", error.getMessage());
        }
    }

    static void query(Connection connection, String[] arguments) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(arguments[0])) {
            ParameterMetaData parameters = statement.getParameterMetaData();
            List<Object> types = new ArrayList<>();
            for (int i = 1; i <= parameters.getParameterCount(); i++) types.add(parameters.getParameterTypeName(i));
            say("parameters", types);
            for (int i = 1; i < arguments.length; i++) bind(statement, i, arguments[i]);
            print(statement.executeQuery());
        }
    }

    static void plain(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            print(statement.executeQuery(sql));
        }
    }

    static void bind(PreparedStatement statement, int position, String given) throws SQLException {
        String[] parts = given.split("=", 2);
        switch (parts[0]) {
            case "text" -> statement.setString(position, parts[1]);
            case "long" -> statement.setLong(position, Long.parseLong(parts[1]));
            case "int" -> statement.setInt(position, Integer.parseInt(parts[1]));
            case "double" -> statement.setDouble(position, Double.parseDouble(parts[1]));
            case "date" -> statement.setDate(position, java.sql.Date.valueOf(parts[1]));
            default -> throw new IllegalArgumentException(given);
        }
    }

    static void metadata(DatabaseMetaData data, Connection connection) throws SQLException {
        say("product", List.of(data.getDatabaseProductName(), data.getDatabaseProductVersion()));
        say("driver", List.of(data.getDriverName(), data.getDriverVersion()));
        say("readonly", List.of(data.isReadOnly(), connection.isReadOnly()));
        say("quote", data.getIdentifierQuoteString());
        say("keywords", data.getSQLKeywords());
        say("functions", List.of(data.getNumericFunctions(), data.getStringFunctions(), data.getSystemFunctions(), data.getTimeDateFunctions()));
        say("terms", List.of(data.getCatalogTerm(), data.getSchemaTerm(), data.getProcedureTerm(), data.isCatalogAtStart(), data.getSearchStringEscape(), data.getExtraNameCharacters()));
        say("limits", List.of(data.getMaxColumnsInSelect(), data.getMaxColumnNameLength(), data.getMaxStatementLength(), data.getMaxConnections(), data.getMaxRowSize(), data.getMaxTablesInSelect()));
        say("transactions", List.of(data.supportsTransactions(), data.getDefaultTransactionIsolation(), data.supportsSavepoints(), data.supportsTransactionIsolationLevel(Connection.TRANSACTION_READ_UNCOMMITTED)));
        say("grammar", List.of(data.supportsGroupBy(), data.supportsGroupByUnrelated(), data.supportsOuterJoins(), data.supportsUnion(), data.supportsConvert(), data.supportsSubqueriesInExists(), data.nullsAreSortedAtEnd(), data.nullPlusNonNullIsNull(), data.supportsANSI92EntryLevelSQL(), data.supportsMinimumSQLGrammar(), data.supportsResultSetType(ResultSet.TYPE_FORWARD_ONLY), data.supportsBatchUpdates()));
        section("catalogs", data.getCatalogs());
        section("schemas", data.getSchemas());
        section("schemas_like", data.getSchemas(null, "tp%"));
        section("tables", data.getTables(null, null, "%", null));
        section("views", data.getTables(null, null, "%", new String[] {"VIEW"}));
        section("tabletypes", data.getTableTypes());
        typeInfo(data);
    }

    /** The driver implements getTypeInfo from 19 on; before, it says so with a RuntimeException. */
    static void typeInfo(DatabaseMetaData data) throws SQLException {
        try {
            section("typeinfo", data.getTypeInfo());
        } catch (RuntimeException error) {
            say("typeinfo", String.valueOf(error.getMessage()));
        }
    }

    static void keys(DatabaseMetaData data, String schema, String table) throws SQLException {
        section("primary", data.getPrimaryKeys(null, schema, table));
        section("imported", data.getImportedKeys(null, schema, table));
        section("exported", data.getExportedKeys(null, schema, table));
        section("cross", data.getCrossReference(null, schema, table, null, schema, table));
    }

    static void tables(DatabaseMetaData data) throws SQLException {
        try (ResultSet found = data.getTables(null, null, "%", null)) {
            while (found.next()) say("row", List.of(found.getString(1), found.getString(2), found.getString(3), found.getString(4)));
        }
    }

    static void count(Connection connection, String sql) throws SQLException {
        long rows = 0;
        try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery(sql)) {
            while (found.next()) {
                found.getObject(1);
                rows++;
            }
        }
        say("rows", rows);
    }

    static void repeat(Connection connection, String sql, int times) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < times; i++) print(statement.executeQuery());
        }
    }

    /** Cancels a statement that is executing, and says how long it took to end. */
    static void cancel(Connection connection, String sql) throws Exception {
        try (Statement statement = connection.createStatement()) {
            long[] started = {0};
            Thread canceller = new Thread(() -> {
                try {
                    System.in.read();
                    started[0] = System.nanoTime();
                    statement.cancel();
                } catch (Exception error) {
                    say("cancel_error", String.valueOf(error.getMessage()));
                }
            });
            canceller.start();
            boolean failed = false;
            try (ResultSet found = statement.executeQuery(sql)) {
                while (found.next()) found.getObject(1);
            } catch (Exception error) {
                failed = true;
            }
            long ended = System.nanoTime();
            canceller.join();
            say("cancelled", List.of("Statement.cancel", (ended - started[0]) / 1_000_000, failed));
        }
    }

    static void section(String name, ResultSet rows) throws SQLException {
        say("section", name);
        print(rows, name);
    }

    static void print(ResultSet rows) throws SQLException {
        print(rows, "row");
    }

    static void print(ResultSet rows, String topic) throws SQLException {
        try (rows) {
            ResultSetMetaData data = rows.getMetaData();
            List<Object> columns = new ArrayList<>();
            for (int i = 1; i <= data.getColumnCount(); i++) {
                columns.add(List.of(data.getColumnLabel(i), JDBCType.valueOf(data.getColumnType(i)).getName(), data.getPrecision(i), data.getScale(i)));
            }
            if (topic.equals("row")) say("columns", columns);
            while (rows.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= data.getColumnCount(); i++) row.add(shown(value(rows, data.getColumnType(i), i)));
                say(topic, row);
            }
        }
    }

    /** What tools call: the driver's getObject knows no timestamps with a zone, and rounds times of day to seconds. */
    static Object value(ResultSet rows, int type, int column) throws SQLException {
        return type == Types.TIMESTAMP_WITH_TIMEZONE ? rows.getTimestamp(column) : rows.getObject(column);
    }

    static String shown(Object value) {
        if (value == null) return "NULL";
        if (value instanceof BigDecimal decimal) return decimal.toPlainString();
        if (value instanceof Timestamp moment) return moment.toInstant().toString();
        if (value instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
        return value.toString();
    }

    static synchronized void say(String topic, Object fact) {
        System.out.println(topic + "\t" + json(fact));
    }

    static String json(Object fact) {
        if (fact instanceof List<?> list) {
            StringJoiner joined = new StringJoiner(",", "[", "]");
            for (Object member : list) joined.add(json(member));
            return joined.toString();
        }
        if (fact instanceof Number || fact instanceof Boolean || fact == null) return String.valueOf(fact);
        StringBuilder text = new StringBuilder("\"");
        for (char c : fact.toString().toCharArray()) {
            if (c == '"' || c == '\\') text.append('\\').append(c);
            else if (c < ' ') text.append(String.format("\\u%04x", (int) c));
            else text.append(c);
        }
        return text.append('"').toString();
    }
}
