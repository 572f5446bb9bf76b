(()=>{var e=[],h=window;h.hly=h.headlessly||=new Proxy(e,{get:(h,l)=>"q"===l?e:(...h)=>{e.push([l,h])}})})();
