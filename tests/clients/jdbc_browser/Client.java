import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/**
 * Talks to a server through the Apache Flight SQL JDBC driver and prints what came back, a line for each fact.
 *
 * Usage: java -cp flight-sql-jdbc-driver.jar Client.java JDBC-URL COMMAND [ARGUMENT...]
 *
 *     query SQL [TYPE=VALUE...]   the column names and types, then a line for each row
 *     metadata                    the calls of DatabaseMetaData that DBeaver and Tableau make when they connect
 *     columns SCHEMA TABLE        getColumns
 *     keys SCHEMA TABLE           getPrimaryKeys, getImportedKeys, getExportedKeys
 *     count SQL                   how many rows, read one by one
 *     repeat SQL N                prepares once, executes N times
 */
class Client {
    public static void main(String[] arguments) throws Exception {
        try {
            Connection connection = DriverManager.getConnection(arguments[0]);
            switch (arguments[1]) {
                case "query" -> query(connection, arguments);
                case "metadata" -> metadata(connection.getMetaData());
                case "columns" -> print(connection.getMetaData().getColumns(null, arguments[2], arguments[3], "%"));
                case "keys" -> keys(connection.getMetaData(), arguments[2], arguments[3]);
                case "count" -> count(connection, arguments[2]);
                case "repeat" -> repeat(connection, arguments[2], Integer.parseInt(arguments[3]));
                default -> throw new IllegalArgumentException(arguments[1]);
            }
            close(connection);
        } catch (SQLException error) {
            System.out.println("error\t" + error.getMessage().replace("\n", " | "));
            System.exit(3);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(4); // the driver's threads would keep the program alive
        }
        System.exit(0);
    }

    /** Closes the connection; the driver closes its channel twice when a session is open, and complains. */
    static void close(Connection connection) {
        try {
            connection.close();
        } catch (Exception error) {
            System.out.println("close\t" + error.getMessage().replace("\n", " | "));
        }
    }

    static void query(Connection connection, String[] arguments) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(arguments[2])) {
            for (int i = 3; i < arguments.length; i++) bind(statement, i - 2, arguments[i]);
            try (ResultSet rows = statement.executeQuery()) {
                print(rows);
            }
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

    static void metadata(DatabaseMetaData data) throws SQLException {
        System.out.println("product\t" + data.getDatabaseProductName() + "\t" + data.getDatabaseProductVersion());
        System.out.println("driver\t" + data.getDriverName() + "\t" + data.getDriverVersion());
        System.out.println("readonly\t" + data.isReadOnly());
        System.out.println("quote\t" + data.getIdentifierQuoteString());
        System.out.println("keywords\t" + data.getSQLKeywords());
        System.out.println("functions\t" + data.getNumericFunctions() + ";" + data.getStringFunctions() + ";"
            + data.getSystemFunctions() + ";" + data.getTimeDateFunctions());
        System.out.println("terms\t" + data.getCatalogTerm() + "\t" + data.getSchemaTerm() + "\t"
            + data.getProcedureTerm() + "\t" + data.isCatalogAtStart() + "\t" + data.getSearchStringEscape());
        System.out.println("limits\t" + data.getMaxColumnsInSelect() + "\t" + data.getMaxStatementLength() + "\t"
            + data.getMaxConnections() + "\t" + data.getMaxRowSize());
        System.out.println("transactions\t" + data.supportsTransactions() + "\t"
            + data.getDefaultTransactionIsolation() + "\t" + data.supportsSavepoints());
        System.out.println("grammar\t" + data.supportsGroupBy() + "\t" + data.supportsGroupByUnrelated() + "\t"
            + data.supportsOuterJoins() + "\t" + data.supportsUnion() + "\t" + data.supportsConvert() + "\t"
            + data.supportsSubqueriesInExists() + "\t" + data.nullsAreSortedAtEnd() + "\t"
            + data.supportsResultSetType(ResultSet.TYPE_FORWARD_ONLY) + "\t" + data.supportsBatchUpdates());
        section("catalogs", data.getCatalogs());
        section("schemas", data.getSchemas());
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
            System.out.println("typeinfo\t" + error.getMessage());
        }
    }

    static void keys(DatabaseMetaData data, String schema, String table) throws SQLException {
        section("primary", data.getPrimaryKeys(null, schema, table));
        section("imported", data.getImportedKeys(null, schema, table));
        section("exported", data.getExportedKeys(null, schema, table));
    }

    static void count(Connection connection, String sql) throws SQLException {
        long rows = 0;
        try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery(sql)) {
            while (found.next()) {
                found.getObject(1);
                rows++;
            }
        }
        System.out.println("rows\t" + rows);
    }

    static void repeat(Connection connection, String sql, int times) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < times; i++) {
                try (ResultSet rows = statement.executeQuery()) {
                    print(rows);
                }
            }
        }
    }

    static void section(String name, ResultSet rows) throws SQLException {
        System.out.println("section\t" + name);
        print(rows);
    }

    static void print(ResultSet rows) throws SQLException {
        try (rows) {
            printRows(rows);
        }
    }

    static void printRows(ResultSet rows) throws SQLException {
        ResultSetMetaData data = rows.getMetaData();
        StringJoiner header = new StringJoiner("\t", "columns\t", "");
        for (int i = 1; i <= data.getColumnCount(); i++) {
            header.add(data.getColumnLabel(i) + ":" + JDBCType.valueOf(data.getColumnType(i)) + "(" + data.getPrecision(i)
                + "," + data.getScale(i) + ")");
        }
        System.out.println(header);
        while (rows.next()) {
            StringJoiner row = new StringJoiner("\t", "row\t", "");
            for (int i = 1; i <= data.getColumnCount(); i++) row.add(shown(value(rows, data.getColumnType(i), i)));
            System.out.println(row);
        }
    }

    /** The driver's getObject knows no timestamps with a zone; tools read them as timestamps. */
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
}
