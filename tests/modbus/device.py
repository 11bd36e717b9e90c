"""A Modbus device by pymodbus, which shares no code with us. It says each coil and register that it is told."""

import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer


class Told(ModbusSequentialDataBlock):
    def __init__(self, table, values):
        super().__init__(0, values)
        self.table = table

    def setValues(self, address, values):
        super().setValues(address, values)
        print(self.table, address, values, flush=True)


tables = ModbusSlaveContext(
    co=Told("coil", [False] * 16),
    di=ModbusSequentialDataBlock(0, [True] + [False] * 15),
    hr=Told("holding", [215] + [0] * 15),
    ir=ModbusSequentialDataBlock(0, [0xFFFE] + [7] * 15),
    zero_mode=True,
)
print("here", flush=True)
StartTcpServer(context=ModbusServerContext(slaves=tables, single=True), address=("127.0.0.1", int(sys.argv[1])))
